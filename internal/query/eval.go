package query

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lightning-db/lightning/internal/dump"
)

// An id chooses what a function does: in a switch, for behind a func value the
// arguments would be allocated.
type id uint8

const (
	idNot id = iota
	idLength
	idType
	idToString
	idToNumber
	idStartsWith
	idEndsWith
	idContains
	idTest
	idHas
	idAny
	idAll
)

// A function is one that expressions can call.
type function struct {
	name        string
	least, most int // arguments
	usage       string
	wrong       error // what it says of a value that it does not take
	document    bool  // it looks at what comes in, which may be the document
	id          id
}

// items reports whether the first argument gives items, as that of any and all.
func (f *function) items() bool { return f.id >= idAny }

func functionNamed(name string) *function {
	for i := range functions {
		if functions[i].name == name {
			return &functions[i]
		}
	}
	return nil
}

var functions = []function{
	{"not", 0, 0, "not stands alone: .a | not", nil, true, idNot},
	{"length", 0, 0, "length takes no argument: .a | length", Error("length: a boolean has none"), true, idLength},
	{"type", 0, 0, "type takes no argument: .a | type", nil, true, idType},
	{"tostring", 0, 0, "tostring takes no argument: .a | tostring", nil, true, idToString},
	{"tonumber", 0, 0, "tonumber takes no argument: .a | tonumber", Error("tonumber: it is no number and no string with one"), true, idToNumber},
	{"startswith", 1, 1, `startswith takes one argument: .a | startswith("x")`, Error("startswith: it takes strings"), true, idStartsWith},
	{"endswith", 1, 1, `endswith takes one argument: .a | endswith("x")`, Error("endswith: it takes strings"), true, idEndsWith},
	{"contains", 1, 1, `contains takes one argument: .a | contains("x")`, Error("contains: it takes two of one type, strings, arrays or objects"), true, idContains},
	{"test", 1, 2, `test takes a regular expression, and "i" if the case is not to matter: .a | test("^x"; "i")`, Error("test: it takes strings"), true, idTest},
	{"has", 1, 1, `has takes one argument: has("a")`, Error("has: it takes a name for an object, an index for an array"), true, idHas},
	{"any", 0, 2, "any is any, any(condition), or any(.a[]; condition)", Error("[]: only arrays and objects have items"), false, idAny},
	{"all", 0, 2, "all is all, all(condition), or all(.a[]; condition)", Error("[]: only arrays and objects have items"), false, idAll},
}

// unknown says what is wrong with the name of a function.
func unknown(name string) string {
	switch strings.ToLower(name) {
	case "match", "capture", "sub", "gsub", "scan", "split", "splits":
		return name + " is left out: of what takes regular expressions there is test"
	case "select":
		return "the expression itself selects: leave out select"
	case "and", "or", "not", "null", "true", "false":
		return "write it small: " + strings.ToLower(name)
	}
	names := ""
	for i := range functions {
		names += " " + functions[i].name
	}
	return "no function " + name + ", there are" + names + "; a field is ." + name
}

var (
	errNoObject error = Error("a field: only objects have one")
	errNoArray  error = Error("an index: only arrays have one")
)

// resolve turns chains of fields into places: of the document, which all such
// chains are looked for in at once, where that is what comes in.
func (m *machine) resolve(n *node, document bool) {
	if n == nil {
		return
	}
	switch n.op {
	case opDot:
		if document {
			n.op, n.place = opPlace, &m.doc.tree
		}
	case opField:
		var names []string
		of := n
		for ; of.op == opField; of = of.left {
			names = append(names, of.name)
		}
		slices.Reverse(names)
		n.op = opPlace
		if of.op == opDot && document {
			n.left, n.place = nil, m.doc.place(names)
			return
		}
		n.left, n.inner = of, new(scanner)
		n.place = n.inner.place(names)
		n.inner.number()
		m.resolve(of, document)
	case opPipe:
		m.resolve(n.left, document)
		m.resolve(n.right, false)
	case opCall:
		n.whole = document && n.function.document
		m.resolve(n.left, document)
		m.resolve(n.right, document && !n.function.items())
		if n.function.items() {
			n.split()
		}
	default:
		m.resolve(n.left, document)
		m.resolve(n.right, document)
	}
}

// split takes apart what gives the items of any and all: left is what stands
// before the first [], steps are that and what follows.
func (n *node) split() {
	var steps []*node
	for of := n.left; of.op == opEach || of.op == opIndex || of.inner != nil; of = of.left {
		steps = append([]*node{of}, steps...)
		if of.op == opEach {
			n.left, n.steps = of.left, steps
		}
	}
}

// run answers n of what comes in, which is nil for the document.
func (m *machine) run(n *node, in, out *datum) error {
	switch n.op {
	case opDot:
		*out = *in
	case opConst:
		*out = n.value
	case opKey:
		out.setText(str, m.key)
	case opValue:
		out.setText(str, m.value)
	case opSize:
		out.setCount(len(m.value))
	case opPlace:
		if n.inner == nil {
			return m.find(n, out)
		}
		return m.step(n, in, out)
	case opIndex:
		return m.step(n, in, out)
	case opPipe:
		var left datum
		if err := m.run(n.left, in, &left); err != nil {
			return err
		}
		return m.run(n.right, &left, out)
	case opAnd, opOr, opCompare:
		yes, err := m.test(n, in)
		out.setBool(yes)
		return err
	case opCall:
		var doc datum
		if n.whole {
			if err := m.find(n, &doc); err != nil {
				return err
			}
			in = &doc
		}
		return m.call(n, in, out)
	}
	return nil
}

// test is run where the answer is only asked for its truth. Beside an error it is
// false.
func (m *machine) test(n *node, in *datum) (bool, error) {
	switch n.op {
	case opAnd, opOr:
		left, err := m.test(n.left, in)
		if err != nil || left == (n.op == opOr) {
			return left, err
		}
		return m.test(n.right, in)
	case opCompare:
		var left, right datum
		if err := m.operand(n.left, in, &left); err != nil {
			return false, err
		}
		other := &right
		if n.right.op == opConst {
			other = &n.right.value
		} else if err := m.operand(n.right, in, other); err != nil {
			return false, err
		}
		if n.test == equal || n.test == less|greater {
			return m.equal(&left, other) == (n.test == equal), nil
		}
		return n.test>>(m.compare(&left, other, 0)+1)&1 != 0, nil
	}
	var out datum
	err := m.run(n, in, &out)
	return err == nil && out.true(), err
}

// operand is run, sooner for a place in the document.
func (m *machine) operand(n *node, in, out *datum) error {
	if n.op == opPlace && n.inner == nil {
		return m.find(n, out)
	}
	return m.run(n, in, out)
}

// equal is compare, sooner where strings differ in length.
func (m *machine) equal(a, b *datum) bool {
	if a.kind == str && b.kind == str && !a.escaped && !b.escaped {
		return bytes.Equal(a.text, b.text)
	}
	return m.compare(a, b, 0) == 0
}

// find gives what is at a place of the document.
func (m *machine) find(n *node, out *datum) error {
	if !m.scanned {
		m.scanned = true
		m.doc.scan(m.value)
	}
	if m.doc.slots[n.place.slot].kind == noObject {
		return errNoObject
	}
	m.doc.get(m.value, n.place.slot, out)
	return nil
}

// step gives what is below that which left gives.
func (m *machine) step(n *node, in, out *datum) error {
	var of datum
	if err := m.run(n.left, in, &of); err != nil {
		return err
	}
	return n.below(&of, out)
}

// below gives the field or the element of a value.
func (n *node) below(of, out *datum) error {
	out.clear()
	switch {
	case of.kind == null:
		return nil
	case n.op == opIndex:
		if of.kind != array {
			return errNoArray
		}
		i := n.index
		if i < 0 {
			i += itemCount(of, nil)
		}
		for w := elements(of, nil); i >= 0 && w.next(); i-- {
			if i == 0 {
				*out = w.item
			}
		}
		return nil
	case of.kind == object:
		n.inner.scan(of.text)
		if n.inner.slots[n.place.slot].kind != noObject {
			n.inner.get(of.text, n.place.slot, out)
			return nil
		}
	}
	return errNoObject
}

func itemCount(of *datum, e *ends) int {
	n := 0
	for w := elements(of, e); w.next(); {
		n++
	}
	return n
}

// call answers a function of what comes in. The first argument, where there is
// one, is answered before.
func (m *machine) call(n *node, in, out *datum) error {
	var arg datum
	if n.left != nil {
		if err := m.run(n.left, in, &arg); err != nil {
			return err
		}
	}
	switch n.function.id {
	case idNot:
		out.setBool(!in.true())
	case idType:
		out.setText(str, kindNames[in.kind])
	case idLength:
		return m.length(n, in, out)
	case idToString:
		in.toString(out)
	case idToNumber:
		return m.toNumber(n, in, out)
	case idStartsWith, idEndsWith:
		if in.kind != str || arg.kind != str {
			return n.function.wrong
		}
		text, part := in.string(&m.scratch[0]), arg.string(&m.scratch[1])
		if n.function.id == idStartsWith {
			out.setBool(bytes.HasPrefix(text, part))
		} else {
			out.setBool(bytes.HasSuffix(text, part))
		}
	case idContains:
		found, ok := m.contains(in, &arg, 0)
		if !ok {
			return n.function.wrong
		}
		out.setBool(found)
	case idTest:
		if in.kind != str {
			return n.function.wrong
		}
		out.setBool(n.regex.Match(in.string(&m.scratch[0])))
	case idHas:
		return m.has(n, in, &arg, out)
	case idAny, idAll:
		all := n.function.id == idAll
		decided, err := m.ask(n, 0, &arg, all)
		out.setBool(decided != all)
		return err
	}
	return nil
}

func (m *machine) length(n *node, in, out *datum) error {
	switch in.kind {
	case null:
		out.setCount(0)
	case number:
		in.read()
		*out = *in
		switch {
		case in.text != nil && in.text[0] == '-':
			out.setText(number, in.text[1:])
		case in.form == integer && in.integer == math.MinInt64:
			out.setText(number, []byte("9223372036854775808"))
		case in.form == integer && in.integer < 0:
			out.integer = -in.integer
		case in.form == float && in.float < 0:
			out.float = -in.float
		}
	case str:
		out.setCount(utf8.RuneCount(in.string(&m.scratch[0])))
	case array:
		out.setCount(itemCount(in, nil))
	case object:
		out.setCount(len(members(in, nil)))
	default:
		return n.function.wrong
	}
	return nil
}

func (d *datum) toString(out *datum) {
	switch d.kind {
	case str:
		*out = *d
	case array, object:
		text, _ := appendCompact(make([]byte, 0, len(d.text)), d.text, 0, false)
		out.setText(str, text)
	case number:
		out.setText(str, d.text)
		if d.text == nil {
			out.text = d.appendNumber(nil)
		}
	default:
		out.setText(str, words[d.kind])
	}
}

func (m *machine) toNumber(n *node, in, out *datum) error {
	switch in.kind {
	case number:
		*out = *in
		return nil
	case str:
		if parseNumber(in.string(&m.scratch[0]), out) {
			return nil
		}
	}
	return n.function.wrong
}

// parseNumber reads a number as tonumber of jq does, which takes more than
// JSON: a plus, zeros before it, a point at either end.
func parseNumber(text []byte, out *datum) bool {
	t := text
	negative := len(t) > 0 && t[0] == '-'
	if len(t) > 0 && (t[0] == '-' || t[0] == '+') {
		t = t[1:]
	}
	i, figures, whole := 0, 0, true
	for ; i < len(t) && (t[i]-'0' <= 9 || t[i] == '.' && whole); i++ {
		if t[i] == '.' {
			whole = false
		} else {
			figures++
		}
	}
	if figures == 0 {
		return false
	}
	if i < len(t) && t[i]|0x20 == 'e' {
		whole = false
		if i++; i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		i = dump.DigitsEnd(t, i)
	}
	if i != len(t) {
		return false
	}
	d := datum{kind: number, text: text}
	if whole {
		t = bytes.TrimLeft(t, "0")
		if len(t) == 0 {
			t = []byte("0")
		} else if negative {
			t = append([]byte{'-'}, t...)
		}
		d.text = t
	} else if text[0] == '+' {
		d.text = t
	}
	if d.read(); d.form == long {
		d.text = bytes.Clone(d.text) // the scratch buffer will be used again
	} else {
		d.text = nil
	}
	*out = d
	return true
}

// contains reports whether a contains b. ok is false where that is no question.
func (m *machine) contains(a, b *datum, depth int) (found, ok bool) {
	if a.kind != b.kind {
		return false, false
	}
	switch a.kind {
	case number:
		return compareNumbers(a, b) == 0, true
	case str:
		return bytes.Contains(a.string(&m.scratch[0]), b.string(&m.scratch[1])), true
	case array:
		// In the loops x and y would be allocated.
		ends, y := m.endsIn(a, 0, depth), elements(b, m.endsIn(b, 1, depth))
		var x items
		for y.next() {
			in := false
			for x = elements(a, ends); !in && x.next(); {
				in, _ = m.contains(&x.item, &y.item, depth+1)
			}
			if !in {
				return false, true
			}
		}
	case object:
		x := members(a, m.endsIn(a, 0, depth))
		i := 0
		var own, wanted datum
		for _, want := range members(b, m.endsIn(b, 1, depth)) {
			for i < len(x) && bytes.Compare(x[i].name, want.name) < 0 {
				i++
			}
			if i == len(x) || !bytes.Equal(x[i].name, want.name) {
				return false, true
			}
			own, wanted = x[i].value(a), want.value(b)
			if in, _ := m.contains(&own, &wanted, depth+1); !in {
				return false, true
			}
		}
	}
	return true, true
}

func (m *machine) has(n *node, in, arg, out *datum) error {
	found := false
	switch {
	case in.kind == null:
	case in.kind == object && arg.kind == str:
		name := arg.string(&m.scratch[0])
		for w := elements(in, nil); !found && w.next(); {
			own := datum{kind: str, text: in.text[w.name.begin:w.name.end], escaped: w.name.escaped}
			found = bytes.Equal(own.string(&m.scratch[1]), name)
		}
	case in.kind == array && arg.kind == number:
		arg.read()
		i := arg.asFloat()
		found = i > -1 && i < float64(itemCount(in, nil)) // -0.5 is cut to 0
	default:
		return n.function.wrong
	}
	out.setBool(found)
	return nil
}

// ask asks of what the steps from the i-th on lead to, and reports whether an
// answer decided: for any it is true, for all false.
func (m *machine) ask(n *node, i int, of *datum, all bool) (decided bool, err error) {
	if i == len(n.steps) {
		var answer datum
		err = m.run(n.right, of, &answer)
		return answer.true() != all, err
	}
	step := n.steps[i]
	switch {
	case step.op != opEach:
		var next datum
		if err := step.below(of, &next); err != nil {
			return false, err
		}
		return m.ask(n, i+1, &next, all)
	case of.kind == array:
		w := elements(of, nil) // in the loop it would be allocated
		for !decided && err == nil && w.next() {
			decided, err = m.ask(n, i+1, &w.item, all)
		}
	case of.kind == object:
		var value datum
		for _, one := range members(of, nil) {
			value = one.value(of)
			if decided, err = m.ask(n, i+1, &value, all); decided || err != nil {
				break
			}
		}
	default:
		err = n.function.wrong
	}
	return decided, err
}
