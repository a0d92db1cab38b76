package verify_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
)

// With a rate all is read that is read without, and takes as long as that says,
// by the clock of the bubble; a context that is done ends it at once.
func TestRun_Rate(t *testing.T) {
	fs := vfs.NewMem()
	db := usual.open(t, fs)
	usual.write(t, db, rand.New(rand.NewPCG(7, 0)), func(int) {})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	want := verifyFS(t, fs, verify.Options{})
	synctest.Test(t, func(t *testing.T) {
		const rate = 100_000
		began, told, tells := time.Now(), time.Duration(-1), 0
		have := verifyFS(t, fs, verify.Options{BytesPerSecond: rate, Progress: func(p verify.Progress) {
			if told < 0 && p.Total > 0 {
				told = time.Since(began)
			}
			tells++
		}})
		if told < 0 || told > time.Second {
			t.Errorf("the first progress, of how much there is to read, came after %v", told)
		}
		if least := int(want.FileBytes / rate); tells < least {
			t.Errorf("progress %d times, want at least each second of %d", tells, least)
		}
		least := time.Duration(want.Bytes) * time.Second / rate
		if took := time.Since(began); !have.OK || have.Keys != want.Keys || took < least*9/10 {
			t.Errorf("in %v, want %v at least: %s", took, least, show(have))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began = time.Now()
		if _, err := verify.Run(ctx, dbDir, verify.Options{FS: fs, BytesPerSecond: rate}); err == nil || time.Since(began) > 4*time.Second {
			t.Errorf("stopped after 3 s: %v after %v", err, time.Since(began))
		}
	})
}
