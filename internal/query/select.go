package query

import "math"

// A Selection computes columns from entries. One goroutine may use it at a
// time.
type Selection struct {
	// Columns are the expressions as they were given.
	Columns []string

	m     machine
	roots []*node
	row   []datum
}

// CompileSelect compiles expressions with commas between. The error is a
// *SyntaxError.
func CompileSelect(list string) (*Selection, error) {
	s := &Selection{}
	p := parser{src: list, raw: []byte(list)}
	p.advance(0)
	for {
		begin := p.at
		n := p.pipe()
		p.check(n, false)
		more := p.token == ","
		if !more {
			p.end()
		}
		if p.err != nil {
			return nil, p.err
		}
		s.Columns = append(s.Columns, list[begin:p.behind])
		s.m.resolve(n, true)
		s.roots = append(s.roots, n)
		if !more {
			break
		}
		p.take()
	}
	s.m.doc.number()
	s.row = make([]datum, len(s.roots))
	return s, nil
}

// Names are the names of the columns in data: the expressions, but of a path
// of one plain name without its dot. A name that is taken stays as it was given.
func (s *Selection) Names(taken ...string) []string {
	var names []string
	for _, column := range s.Columns {
		name := column
		if len(name) > 1 && name[0] == '.' && word(name[1]) && wordEnd(name, 1) == len(name) {
			name = name[1:]
		}
		for _, other := range taken {
			if other == name {
				name = column
			}
		}
		names = append(names, name)
	}
	return names
}

// Run computes the columns of an entry. One that has no answer is null; the
// error is the first that was met, as Match has them.
func (s *Selection) Run(key, value []byte) (err error) {
	s.m.begin(key, value)
	for i, n := range s.roots {
		if e := s.m.run(n, nil, &s.row[i]); e != nil {
			s.row[i] = datum{}
			if err == nil {
				err = e
			}
		}
	}
	if s.m.doc.bad {
		return ErrNotJSON
	}
	return err
}

// AppendJSON appends a column of the entry as JSON, without insignificant
// space.
func (s *Selection) AppendJSON(dst []byte, column int) []byte {
	return s.row[column].appendJSON(dst, false)
}

// AppendText appends a column of the entry: a string as its content, anything
// else as JSON. isNull reports whether it is null.
func (s *Selection) AppendText(dst []byte, column int) (text []byte, isNull bool) {
	d := &s.row[column]
	return d.appendText(dst), d.kind == null
}

// EachField calls fn with the name and the JSON of each field of the first column of
// the entry, if that is an object.
func (s *Selection) EachField(fn func(name, value []byte)) {
	if d := &s.row[0]; d.kind == object {
		for _, one := range members(d, nil) {
			fn(one.name, d.text[one.begin:one.end])
		}
	}
}

// AppendGroup appends a column of the entry as JSON that is the same for equal
// values, however they are written, and for no others: in strings that are not
// UTF-8 it keeps the bytes.
func (s *Selection) AppendGroup(dst []byte, column int) []byte {
	d := s.row[column]
	if d.kind == array || d.kind == object {
		dst, _ = appendCompact(dst, d.text, 0, true)
		return dst
	}
	return d.appendGroup(dst)
}

// appendGroup is AppendGroup of what is no array or object.
func (d *datum) appendGroup(dst []byte) []byte {
	if d.kind == number {
		if d.read(); d.form == float && math.Abs(d.float) < 1<<53 && d.float == math.Trunc(d.float) {
			d.form, d.integer = integer, int64(d.float)
		}
		if d.form != long {
			d.text = nil
		}
	}
	return d.appendJSON(dst, true)
}
