//go:build unix

package shell

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A history that is no file is none: the shell had waited for what a FIFO holds.
func TestHistory_NoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := make(chan history, 1)
	go func() {
		h, _ := openHistory(path)
		opened <- h
	}()
	select {
	case h := <-opened:
		if h != "" {
			t.Errorf("have %q", h)
		}
	case <-time.After(10 * time.Second):
		t.Error("it is waited for")
	}
}
