package expect_test

import (
	"path/filepath"
	"testing"

	"github.com/lightning-db/lightning/stress/expect"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) *expect.States {
	t.Helper()
	s, err := expect.Open(path, 4)
	must(t, err)
	return s
}

func begin(t *testing.T, s *expect.States, key int, deletion bool, want uint32) {
	t.Helper()
	g, err := s.Begin(key, deletion)
	must(t, err)
	if g != want {
		t.Fatalf("key %d: generation %d, want %d", key, g, want)
	}
}

// allows makes sure that of the generations 0 to 3 only these pass Check.
func allows(t *testing.T, s *expect.States, key int, want ...uint32) {
	t.Helper()
	for g := range uint32(4) {
		ok := false
		for _, w := range want {
			ok = ok || g == w
		}
		if err := s.Check(key, g); (err == nil) != ok {
			t.Errorf("key %d shows generation %d: %v", key, g, err)
		}
	}
}

func TestStates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "expected")
	s := open(t, path)
	allows(t, s, 0, 0)
	begin(t, s, 0, false, 1)
	allows(t, s, 0, 0, 1)
	if _, err := s.Begin(0, false); err == nil {
		t.Error("begun twice")
	}
	if expect.Acknowledged(path) {
		t.Error("acknowledged before it is")
	}
	must(t, s.End(0))
	if !expect.Acknowledged(path) {
		t.Error("not acknowledged when it is")
	}
	allows(t, s, 0, 1)
	begin(t, s, 0, true, 2)
	allows(t, s, 0, 0, 1)
	must(t, s.Undo(0))
	allows(t, s, 0, 1)
	begin(t, s, 0, false, 3)
	allows(t, s, 0, 1, 3)
	begin(t, s, 1, false, 1)
	begin(t, s, 2, true, 1)

	// Another process, after this one was killed.
	s = open(t, path)
	allows(t, s, 0, 1, 3)
	allows(t, s, 1, 0, 1)
	allows(t, s, 3, 0)
	if err := s.Settle(0, 2); err == nil {
		t.Error("generation 2 was refused, and is there")
	}
	must(t, s.Settle(0, 3))
	allows(t, s, 0, 3)
	must(t, s.Settle(1, 0))
	allows(t, s, 1, 0)
	begin(t, s, 1, false, 2)
	must(t, s.Settle(2, 0))
	allows(t, s, 2, 0)
	must(t, s.Close())
	allows(t, open(t, path), 0, 3)
}

func TestValue(t *testing.T) {
	for size := expect.MinValue; size < 60; size++ {
		v := expect.Seed(7).AppendValue(nil, 5, 9, size)
		if len(v) != size {
			t.Fatalf("%d bytes, want %d", len(v), size)
		}
		if g, err := expect.Seed(7).ParseValue(v, 5); err != nil || g != 9 {
			t.Fatal(g, err)
		}
		if _, err := expect.Seed(7).ParseValue(v, 6); err == nil {
			t.Error("it passes for another key's")
		}
		for i := range v {
			w := append([]byte(nil), v...)
			w[i] ^= 4
			if g, err := expect.Seed(7).ParseValue(w, 5); err == nil && (g == 9 || i >= expect.MinValue) {
				t.Fatalf("of %d bytes, byte %d may be anything", size, i)
			}
		}
	}
	long := expect.Seed(7).AppendValue(nil, 5, 9, 40)
	if _, err := expect.Seed(8).ParseValue(long, 5); err == nil {
		t.Error("it passes for another seed's")
	}
}
