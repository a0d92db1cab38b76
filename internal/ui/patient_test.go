package ui_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/lightning-db/lightning/internal/ui"
)

// What is written arrives as long as somebody reads, also when the context is
// done; when then nobody does, Write gives up, for good.
func TestPatient(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := ui.Patient(ctx, w)
	much := make([]byte, 1<<20) // more than a pipe holds
	read := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, io.LimitReader(r, int64(len(much))))
		read <- n
	}()
	if n, err := p.Write(much); n != len(much) || err != nil {
		t.Errorf("somebody reads: %d, %v", n, err)
	}
	if n := <-read; n != int64(len(much)) {
		t.Errorf("%d bytes arrived of %d", n, len(much))
	}
	cancel()
	if n, err := p.Write(much[:1]); n != 1 || err != nil {
		t.Errorf("there is room: %d, %v", n, err)
	}
	for range 2 {
		if _, err := p.Write(much); !errors.Is(err, context.Canceled) {
			t.Errorf("nobody reads: %v", err)
		}
	}
	if err := r.Close(); err != nil { // what was given up ends
		t.Fatal(err)
	}
}

func TestPatient_File(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if w := ui.Patient(t.Context(), f); w != f {
		t.Errorf("to a file it is %T", w)
	}
}
