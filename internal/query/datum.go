package query

import (
	"bytes"
	"cmp"
	"math"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
)

// A kind is the type of a value, in jq's order.
type kind uint8

const (
	null kind = iota
	no
	yes
	number
	str
	array
	object

	// In slots only.
	missing  // no such member: reads as null
	noObject // a member of what has none
)

var (
	words     = [...][]byte{[]byte("null"), []byte("false"), []byte("true")}
	kindNames = [...][]byte{[]byte("null"), []byte("boolean"), []byte("boolean"), []byte("number"), []byte("string"), []byte("array"), []byte("object")}
)

// A datum is a value as it stands in a document, or one that was computed. It
// lives as long as the entry.
type datum struct {
	// text is the number, the content of the string, or the whole array or
	// object; nil for a number that was computed.
	text    []byte
	integer int64
	float   float64
	kind    kind
	escaped bool // a string with escapes in it
	form    form // of a number
}

// A form says which field holds a number.
type form uint8

const (
	unread  form = iota // only text
	integer             // integer
	long                // text, an integer of more than 64 bits
	float               // float
)

func (d *datum) true() bool { return d.kind > no }

// Set where they are inlined, these would be four times as large.

//go:noinline
func (d *datum) clear() { *d = datum{} }

//go:noinline
func (d *datum) setBool(b bool) {
	if *d = (datum{kind: no}); b {
		d.kind = yes
	}
}

//go:noinline
func (d *datum) setCount(n int) { *d = datum{kind: number, form: integer, integer: int64(n)} }

//go:noinline
func (d *datum) setText(k kind, text []byte) { *d = datum{kind: k, text: text} }

// read parses a number.
func (d *datum) read() {
	if d.form != unread {
		return
	}
	t := d.text
	negative := t[0] == '-'
	if negative {
		t = t[1:]
	}
	if len(t) <= 19 {
		var n uint64
		i := 0
		for ; i < len(t) && t[i]-'0' <= 9; i++ {
			n = n*10 + uint64(t[i]-'0')
		}
		if i == len(t) && (n <= math.MaxInt64 || negative && n == 1<<63) {
			if d.form, d.integer = integer, int64(n); negative {
				d.integer = -d.integer
			}
			return
		}
	}
	if bytes.IndexByte(t, '.') >= 0 || bytes.IndexByte(t, 'e') >= 0 || bytes.IndexByte(t, 'E') >= 0 {
		d.form = float
		d.float, _ = strconv.ParseFloat(string(d.text), 64) // infinite beyond the range
		return
	}
	d.form = long
}

// asFloat is a number as floating point.
func (d *datum) asFloat() float64 {
	switch d.form {
	case integer:
		return float64(d.integer)
	case long:
		f, _ := strconv.ParseFloat(string(d.text), 64)
		return f
	}
	return d.float
}

// compareNumbers compares integers exactly, whatever their length.
func compareNumbers(a, b *datum) int {
	a.read()
	b.read()
	switch {
	case a.form == integer && b.form == integer:
		return cmp.Compare(a.integer, b.integer)
	case a.form == float || b.form == float:
		return cmp.Compare(a.asFloat(), b.asFloat())
	}
	// Of a long one and one that is not, the sign of the long one decides; of
	// two, the signs, the lengths, and then the digits.
	x, y := a.sign(), b.sign()
	if x != y {
		return cmp.Compare(x, y)
	}
	c := cmp.Compare(len(a.text), len(b.text))
	if c == 0 {
		c = bytes.Compare(a.text, b.text)
	}
	return x * c
}

// sign is that of a long integer, and 0 for any other.
func (d *datum) sign() int {
	switch {
	case d.form != long:
		return 0
	case d.text[0] == '-':
		return -1
	}
	return 1
}

// appendNumber appends a number as jq prints it: as it stands in the document,
// or, where it was computed, as short as it can be.
func (d *datum) appendNumber(dst []byte) []byte {
	switch {
	case d.text != nil:
		return append(dst, d.text...)
	case d.form == integer:
		return strconv.AppendInt(dst, d.integer, 10)
	}
	f := min(max(d.float, -math.MaxFloat64), math.MaxFloat64)
	if x := math.Abs(f); x == 0 || x >= 1e-6 && x < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

// string returns the content of a string, in a scratch buffer if need be.
func (d *datum) string(scratch *[]byte) []byte {
	if !d.escaped {
		return d.text
	}
	*scratch = appendUnescaped((*scratch)[:0], d.text)
	return *scratch
}

// compare is jq's order over all values. depth is how many arrays and objects a
// and b are in.
func (m *machine) compare(a, b *datum, depth int) int {
	if a.kind != b.kind {
		return cmp.Compare(a.kind, b.kind)
	}
	switch a.kind {
	case number:
		return compareNumbers(a, b)
	case str:
		return bytes.Compare(a.string(&m.scratch[0]), b.string(&m.scratch[1]))
	case array:
		return m.compareArrays(a, b, depth)
	case object:
		return m.compareObjects(a, b, depth)
	}
	return 0
}

func (m *machine) compareArrays(a, b *datum, depth int) int {
	x, y := elements(a, m.endsIn(a, 0, depth)), elements(b, m.endsIn(b, 1, depth))
	for {
		more, also := x.next(), y.next()
		if !more || !also {
			switch {
			case also:
				return -1
			case more:
				return 1
			}
			return 0
		}
		if c := m.compare(&x.item, &y.item, depth+1); c != 0 {
			return c
		}
	}
}

// compareObjects compares the names, in order, and then the values.
func (m *machine) compareObjects(a, b *datum, depth int) int {
	x, y := members(a, m.endsIn(a, 0, depth)), members(b, m.endsIn(b, 1, depth))
	for i := range min(len(x), len(y)) {
		if c := bytes.Compare(x[i].name, y[i].name); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(x), len(y)); c != 0 {
		return c
	}
	var left, right datum // in the loop they would be allocated each time
	for i := range x {
		left, right = x[i].value(a), y[i].value(b)
		if c := m.compare(&left, &right, depth+1); c != 0 {
			return c
		}
	}
	return 0
}

// An items walks over the values of an array or object that has been found
// valid.
type items struct {
	text  []byte
	ends  *ends
	begin int  // of the item
	at    int  // behind it
	name  slot // of a member
	item  datum
}

// elements begins to walk, with what is known of the ends of items, if anything is.
func elements(d *datum, e *ends) items { return items{text: d.text, ends: e, at: 1} }

// next moves to the next item, if there is one.
func (w *items) next() bool {
	w.at = dump.Space(w.text, w.at)
	switch w.text[w.at] {
	case ']', '}':
		return false
	case ',':
		w.at = dump.Space(w.text, w.at+1)
	}
	if w.text[0] == '{' {
		w.name.begin = w.at + 1
		w.name.end, w.name.escaped = dump.StringEnd(w.text, w.at+1)
		w.at = dump.Space(w.text, dump.Space(w.text, w.name.end+1)+1) // the colon
	}
	w.begin = w.at
	w.at = w.ends.end(w.text, w.begin)
	w.item = datumOf(w.text[w.begin:w.at])
	return true
}

// An ends holds where the arrays and objects in a text end. Without it, a walk
// through what is nested steps over all that is inside once for each level.
type ends struct {
	text  []byte
	spans []span // in the order in which they begin
	open  []int  // the spans that have no end yet
}

type span struct{ begin, end int32 }

// nested is the depth from which on ends are kept: above it stepping over is
// cheap enough, and takes no memory.
const nested = 32

// endsIn returns the ends of what is in one of two values that are walked at a
// time, nil where nothing is known of them.
func (m *machine) endsIn(d *datum, side, depth int) *ends {
	if depth < nested {
		return nil
	}
	e := &m.deep[side]
	if depth == nested {
		e.fill(d.text)
	}
	return e
}

func (e *ends) fill(text []byte) {
	e.text, e.spans = text, e.spans[:0]
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i, _ = dump.StringEnd(text, i+1)
		case '[', '{':
			e.open = append(e.open, len(e.spans))
			e.spans = append(e.spans, span{begin: int32(i)})
		case ']', '}':
			last := len(e.open) - 1
			e.spans[e.open[last]].end = int32(i + 1)
			e.open = e.open[:last]
		}
	}
}

// end returns where the value at text[i] ends. Of ends, text is a part, whose
// place in the whole its capacity tells.
func (e *ends) end(text []byte, i int) int {
	if e == nil || text[i] != '[' && text[i] != '{' {
		return dump.ValueEnd(text, i, maxDepth)
	}
	before := cap(e.text) - cap(text)
	at := sort.Search(len(e.spans), func(k int) bool { return int(e.spans[k].begin) >= before+i })
	return int(e.spans[at].end) - before
}

// datumOf returns the value of a JSON text that has been found valid.
func datumOf(text []byte) datum {
	switch text[0] {
	case 'n':
		return datum{}
	case 'f':
		return datum{kind: no}
	case 't':
		return datum{kind: yes}
	case '"':
		text = text[1 : len(text)-1]
		return datum{kind: str, text: text, escaped: bytes.IndexByte(text, '\\') >= 0}
	case '[':
		return datum{kind: array, text: text}
	case '{':
		return datum{kind: object, text: text}
	}
	return datum{kind: number, text: text}
}

// get gives what a slot holds.
func (s *scanner) get(doc []byte, i int, out *datum) {
	at := &s.slots[i]
	switch at.kind {
	case number, str, array, object:
		out.setText(at.kind, doc[at.begin:at.end:at.end])
		out.escaped = at.escaped
	case no, yes:
		out.setBool(at.kind == yes)
	default:
		out.clear()
	}
}

// A member of an object: there may be millions.
type member struct {
	name       []byte // without escapes
	begin, end int    // of the value, in the object
}

func (one *member) value(of *datum) datum { return datumOf(of.text[one.begin:one.end]) }

type byName []member

func (b byName) Len() int { return len(b) }
func (b byName) Less(i, j int) bool {
	c := bytes.Compare(b[i].name, b[j].name)
	return c < 0 || c == 0 && b[i].begin < b[j].begin
}
func (b byName) Swap(i, j int) { b[i], b[j] = b[j], b[i] }

// members returns the members of an object by their names; of several with one
// name, the last.
func members(d *datum, e *ends) []member {
	all := make([]member, 0, itemCount(d, e))
	for w := elements(d, e); w.next(); {
		name := w.text[w.name.begin:w.name.end]
		if w.name.escaped {
			name = appendUnescaped(nil, name)
		}
		all = append(all, member{name, w.begin, w.at})
	}
	sort.Sort(byName(all))
	kept := all[:0]
	for i, one := range all {
		if i+1 == len(all) || !bytes.Equal(all[i+1].name, one.name) {
			kept = append(kept, one)
		}
	}
	return kept
}

// appendText appends a string as its content, and anything else as JSON.
func (d *datum) appendText(dst []byte) []byte {
	if d.kind != str {
		return d.appendJSON(dst, false)
	}
	if d.escaped {
		return appendUnescaped(dst, d.text)
	}
	return append(dst, d.text...)
}

// appendJSON appends JSON without insignificant space. What is not UTF-8 in its
// strings becomes U+FFFD, unless it is to be kept exact.
func (d *datum) appendJSON(dst []byte, exact bool) []byte {
	switch d.kind {
	case null, no, yes:
		return append(dst, words[d.kind]...)
	case number:
		return d.appendNumber(dst)
	}
	text := d.text
	if d.escaped {
		text = appendUnescaped(nil, text)
	}
	if !exact && !utf8.Valid(text) {
		text = []byte(string([]rune(string(text))))
	}
	if d.kind == str {
		return dump.AppendJSONString(dst, text)
	}
	return dump.AppendCompact(dst, text)
}
