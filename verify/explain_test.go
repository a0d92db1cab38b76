package verify_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/verify"
)

func TestRun_Explains(t *testing.T) {
	base := usual.build(t, 11)
	list := base.extents()
	for _, c := range []struct {
		name   string
		damage func(b []byte)
		want   string
	}{
		{"a bit of the body", func(b []byte) { b[100] ^= 1 << 5 }, "a single flipped bit: bit 5 of the byte at offset "},
		{"a bit of the checksum", func(b []byte) { b[3] ^= 1 << 2 }, "a single flipped bit, in its stored checksum: bit 26"},
		{"the checksum", func(b []byte) { copy(b, "checksum") }, "only its stored checksum was changed"},
		{"zeros", func(b []byte) { clear(b) }, "all of it is zeros"},
		{"a sector", func(b []byte) { clear(b[:512]) }, "zeros from offset "},
		{"text", func(b []byte) { copy(b, strings.Repeat("all work and no play ", len(b))) }, "it looks like text"},
		{"the end", func(b []byte) { noise(b[len(b)/2:]) }, "it begins as an extent"},
		{"all", func(b []byte) { noise(b) }, "nothing of it is an extent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := base.clone(t)
			e := pick(list, inspect.Leaf, 1)[2]
			if e.ref.Length < 1000 {
				t.Fatalf("a leaf of %d bytes", e.ref.Length)
			}
			c.damage(m.bytes(e))
			found := false
			for _, f := range m.verify(verify.Options{Explain: true}).Findings {
				if uint64(f.Offset) == e.ref.Offset {
					found = true
					if !strings.HasPrefix(f.Explanation, c.want) {
						t.Errorf("have %q, want %q", f.Explanation, c.want)
					}
				}
			}
			if !found {
				t.Error("it was not found")
			}
			for _, f := range m.verify(verify.Options{}).Findings {
				if f.Explanation != "" {
					t.Errorf("not asked for: %q", f.Explanation)
				}
			}
		})
	}
}

func TestRun_ExplainsACut(t *testing.T) {
	m := usual.build(t, 11)
	list := m.extents()
	sortByOffset(list)
	last := list[len(list)-1]
	m.b = m.b[:last.ref.Offset+100]
	r := m.verify(verify.Options{Explain: true})
	f, ok := find(r, "R2", inspect.Truncated, last.ref.Offset)
	if want := fmt.Sprintf("the file has 100 of its %d bytes", last.ref.Length); !ok || f.Explanation != want {
		t.Errorf("have %q, want %q; %s", f.Explanation, want, show(r))
	}
}

func noise(b []byte) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
}

// A sample reads a part of the leaves, finds nothing in a sound database, and
// finds damage in as many of the leaves that it reads.
func TestRun_Sample(t *testing.T) {
	m := usual.build(t, 12)
	list := m.extents()
	all := m.verify(verify.Options{})
	some := m.verify(verify.Options{Sample: 0.3})
	if !some.OK || len(some.Notes) > 0 || some.Nodes == 0 || some.Nodes > all.Nodes*3/4 {
		t.Errorf("a sample of a sound database: %s", show(some))
	}
	leaves := 0
	for _, e := range list {
		if e.kind == inspect.Leaf && e.keyspace == 1 && e.parent != nil && e.parent.level > 0 {
			clear(m.bytes(e))
			leaves++
		}
	}
	found := 0
	for range 10 {
		found += len(m.verify(verify.Options{Sample: 0.3}).Findings)
	}
	if found < leaves || found > leaves*5 { // 3 expected
		t.Errorf("%d findings in ten samples of %d damaged leaves", found, leaves)
	}
}
