package crash

import (
	"errors"
	"fmt"
	"sort"

	"github.com/lightning-db/lightning/engine"
)

// contents are what a database holds: its keyspaces in the order of their
// names, of which the first is the default one. They are never changed.
type contents []space

type space struct {
	name    string
	entries []entry // in the order of their keys
}

type entry struct{ key, value string }

// edit is an operation of a commit.
type edit struct {
	kind       editKind
	space      string
	key, value string // the value is the end of a range; no end if it is empty
}

type editKind uint8

const (
	set editKind = iota
	remove
	removeRange
	create
	drop
)

func (c contents) index(name string) int {
	return sort.Search(len(c), func(i int) bool { return c[i].name >= name })
}

// at is where a key is in a keyspace, or would be.
func (s *space) at(key string) int {
	return sort.Search(len(s.entries), func(i int) bool { return s.entries[i].key >= key })
}

// get returns a value, and whether there is one.
func (s *space) get(key string) (string, bool) {
	if i := s.at(key); i < len(s.entries) && s.entries[i].key == key {
		return s.entries[i].value, true
	}
	return "", false
}

// with returns the contents after a commit.
func (c contents) with(edits []edit) contents {
	c = append(contents(nil), c...)
	for i := range c {
		c[i].entries = append([]entry(nil), c[i].entries...)
	}
	for _, e := range edits {
		i := c.index(e.space)
		switch e.kind {
		case create:
			c = append(c[:i], append(contents{{name: e.space}}, c[i:]...)...)
			continue
		case drop:
			c = append(c[:i], c[i+1:]...)
			continue
		}
		s := &c[i]
		from := s.at(e.key)
		to := from
		switch {
		case e.kind == removeRange && e.value == "":
			to = len(s.entries)
		case e.kind == removeRange:
			to = max(from, s.at(e.value))
		case from < len(s.entries) && s.entries[from].key == e.key:
			to++
		}
		rest := append([]entry(nil), s.entries[to:]...)
		s.entries = s.entries[:from]
		if e.kind == set {
			s.entries = append(s.entries, entry{e.key, e.value})
		}
		s.entries = append(s.entries, rest...)
	}
	return c
}

// compare says what of a database is not as c, by scans in one direction, or
// with thorough in both, and by gets.
func (c contents) compare(db *engine.DB, thorough bool) error {
	list, err := db.Keyspaces()
	if err != nil {
		return err
	}
	if len(list) != len(c) {
		return fmt.Errorf("there are %d keyspaces, want %d", len(list), len(c))
	}
	view, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer view.Close()
	for i := range c {
		ks, err := db.Keyspace(c[i].name)
		if err != nil {
			return err
		}
		if err := c[i].compare(view.In(ks), thorough); err != nil {
			return fmt.Errorf("keyspace %q: %w", c[i].name, err)
		}
	}
	return nil
}

func (s *space) compare(view *engine.Snapshot, thorough bool) error {
	n := 0
	for key, value := range view.Scan(nil, nil) {
		if err := s.same(n, key, value); err != nil {
			return err
		}
		n++
	}
	if err := view.Err(); err != nil {
		return err
	}
	if n < len(s.entries) {
		return fmt.Errorf("key %.40q is missing", s.entries[n].key)
	}
	if !thorough {
		return nil
	}
	for key, value := range view.ScanBackward(nil, nil) {
		n--
		if err := s.same(n, key, value); err != nil {
			return err
		}
	}
	for _, e := range s.entries {
		value, err := view.Get([]byte(e.key))
		if err != nil {
			return fmt.Errorf("get of key %.40q: %w", e.key, err)
		}
		if string(value) != e.value {
			return fmt.Errorf("get of key %.40q shows %.40q, want %.40q", e.key, value, e.value)
		}
	}
	if _, err := view.Get([]byte("never written")); !errors.Is(err, engine.ErrNotFound) {
		return fmt.Errorf("get of a key that was never written: %v", err)
	}
	return view.Err()
}

// same compares the i-th entry.
func (s *space) same(i int, key, value []byte) error {
	if i < 0 || i >= len(s.entries) {
		return fmt.Errorf("key %.40q is there, and should not be", key)
	}
	if e := &s.entries[i]; string(key) != e.key {
		return fmt.Errorf("a scan shows key %.40q, want %.40q", key, e.key)
	} else if string(value) != e.value {
		return fmt.Errorf("key %.40q has %.40q, want %.40q", key, value, e.value)
	}
	return nil
}
