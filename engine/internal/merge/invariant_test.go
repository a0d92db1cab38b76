//go:build invariants

package merge

import (
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// backwards is a source that stands on b, and then on a.
type backwards struct {
	kv.Cursor
	entry kv.Entry
}

func (b *backwards) First() bool      { b.entry.Key = []byte("b"); return true }
func (b *backwards) Next() bool       { b.entry.Key = []byte("a"); return true }
func (b *backwards) Entry() *kv.Entry { return &b.entry }

// With the checks compiled in, a source that goes the wrong way is noticed.
func TestInvariant_SourceOutOfOrder(t *testing.T) {
	defer func() {
		if p, _ := recover().(string); !strings.Contains(p, "source 0 went from \"b\" to \"a\"") {
			t.Errorf("recovered %q", p)
		}
	}()
	var c Cursor
	c.Reset([]Source{new(backwards)}, nil, false)
	c.First()
	c.Next()
}
