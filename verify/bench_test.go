package verify_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/verify"
)

// BenchmarkRun verifies a database of about 128 MiB from the page cache: keys
// of 16 bytes and values of 100, written in random order.
func BenchmarkRun(b *testing.B) {
	for _, c := range []engine.Compression{engine.CompressionNone, engine.CompressionS2, engine.CompressionZstd} {
		b.Run(c.String(), func(b *testing.B) {
			dir := b.TempDir() + "/db"
			fill(b, dir, c, 1_000_000)
			b.ResetTimer()
			for b.Loop() {
				r, err := verify.Run(context.Background(), dir, verify.Options{})
				if err != nil || !r.OK {
					b.Fatalf("have %+v, %v", r, err)
				}
				b.SetBytes(r.Bytes)
			}
		})
	}
}

func fill(b *testing.B, dir string, c engine.Compression, keys int) {
	b.Helper()
	db, err := engine.Open(dir, &engine.Options{Sync: engine.SyncOff, Compression: c})
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 100)
	for i := 0; i < keys; {
		batch := db.NewBatch()
		for range 1000 {
			for j := range 50 {
				value[j] = byte(rnd.Uint32())
			}
			if err := batch.Put(fmt.Appendf(nil, "key%013d", rnd.IntN(4*keys)), value); err != nil {
				b.Fatal(err)
			}
			i++
		}
		if err := db.Apply(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}
