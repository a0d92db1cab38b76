// Package query asks questions of entries whose values are JSON: expressions in
// a strict subset of jq. What is typed here means the same in jq, with three
// variables given to it: $key, $value and $size.
//
//	path        .  .a.b  .a[0]  .a[-1]  ."odd name"  .["odd name"]
//	entry       $key  $value (its bytes as a string)  $size (of the value, in bytes)
//	constant    null  true  false  42  -1.5e3  "text"  ["a","b"]  {"a":1}
//	compare     ==  !=  <  <=  >  >=
//	combine     and  or  | not  ( )
//	function    length  type  tostring  tonumber  startswith(x)  endswith(x)
//	            contains(x)  test("re2")  test("re2"; "i")  has(x)  any  any(c)  any(.a[]; c)  all, the same
//	comment     # to the end of the line
//
// A filter looks at a value only where its expression does, in one pass over
// the bytes, which checks that they are JSON and notes where the paths lead;
// what no path leads to is not decoded. It allocates nothing, but where objects
// are compared, counted or walked, where strings have escapes, and for tostring of
// arrays and objects.
//
// What is decided, where jq leaves a choice or has none:
//
//  1. Values of different types are in the order null, false, true, numbers,
//     strings, arrays, objects: null < 30 is true.
//  2. Integers are compared exactly, of any length; a number with a point or an
//     exponent, and what it is compared with, as a 64-bit floating-point number.
//  3. Of several members of one name the last counts, and names and strings are
//     compared with their escapes resolved.
//  4. Where a value is not JSON every path is null, and Match says ErrNotJSON
//     beside its answer.
//  5. What jq reports as an error, .a of a string or startswith of a number,
//     is an Error of this entry, which then does not match.
//  6. Strings are compared as bytes, so that keys and values may be any.
package query

import "errors"

// ErrNotJSON is beside the answer for a value that is not JSON: its paths were
// null.
var ErrNotJSON = errors.New("the value is not JSON")

// An Error says why an expression has no answer for an entry: one of a few
// constants, so that a scan that meets many allocates nothing.
type Error string

func (e Error) Error() string { return string(e) }

// A Filter says which entries match. One goroutine may use it at a time.
type Filter struct {
	m    machine
	root *node
	keys keyRange
}

// Compile compiles an expression. The error is a *SyntaxError.
func Compile(expr string) (*Filter, error) {
	p := parser{src: expr, raw: []byte(expr)}
	root := p.whole()
	if p.err != nil {
		return nil, p.err
	}
	f := &Filter{root: root, keys: rangeOf(root)}
	f.m.resolve(root, true)
	f.m.doc.number()
	return f, nil
}

// Match reports whether an entry matches: whether the answer is neither null
// nor false. Beside ErrNotJSON it is an answer, beside an Error it is false.
func (f *Filter) Match(key, value []byte) (bool, error) {
	m := &f.m
	m.begin(key, value)
	matches, err := m.test(f.root, nil)
	if m.doc.bad {
		err = ErrNotJSON
	}
	return matches, err
}

// Range returns the half-open range outside which no key matches; nil is no
// bound. The slices are the filter's: they are not to be changed.
func (f *Filter) Range() (start, end []byte) { return f.keys.start, f.keys.end }

// ReadsValue reports whether a match depends on the value.
func (f *Filter) ReadsValue() bool { return f.root.readsValue() }

func (n *node) readsValue() bool {
	if n == nil {
		return false
	}
	switch n.op {
	case opValue, opSize:
		return true
	case opPlace:
		if n.inner == nil {
			return true
		}
	}
	if n.whole {
		return true
	}
	return n.left.readsValue() || n.right.readsValue()
}

// A machine runs expressions on one entry after another.
type machine struct {
	key, value []byte
	doc        scanner // of the value
	scanned    bool
	scratch    [2][]byte // strings without their escapes
	deep       [2]ends   // of the two values that are compared
}

// begin begins with an entry.
func (m *machine) begin(key, value []byte) {
	m.key, m.value, m.scanned, m.doc.bad = key, value, false, false
}
