package salvage_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/verify/salvage"
)

// FuzzRun writes over a database as patches say: each is a position (4 bytes),
// a length (1 byte) and that many bytes. The first byte of all chooses the
// database.
func FuzzRun(f *testing.F) {
	bases := []*fixture{
		build(f, shape{seed: 20, keys: 60, generation: 2, keyspaces: []string{"a"}}),
		build(f, shape{seed: 21, keys: 300, generation: 5, runs: true, log: true}),
	}
	f.Add([]byte{0})
	f.Add([]byte{1, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0x20, 0, 0, 4, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, patches []byte) {
		if len(patches) == 0 {
			return
		}
		g := bases[int(patches[0])%len(bases)].clone()
		b := g.tree(t)
		for p := patches[1:]; len(p) > 5; {
			at, n := int(binary.LittleEndian.Uint32(p))%len(b), int(p[4])
			n = min(n, len(p)-5, len(b)-at)
			copy(b[at:], p[5:5+n])
			p = p[5+n:]
		}
		g.setTree(t, b)
		report, err := salvage.Run(context.Background(), src, dst, salvage.Options{FS: g.fs})
		if err != nil {
			if !errors.Is(err, salvage.ErrNothing) && !errors.Is(err, engine.ErrVersion) && !errors.Is(err, engine.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		got := g.named(contentOf(t, g.fs, dst))
		if wrong := g.neverWritten(got); wrong != "" {
			t.Fatal(wrong)
		}
		if d := diff(g.want, got); d != "" && report.Lossless() {
			t.Fatalf("all is said to be there, and\n%s", d)
		}
	})
}
