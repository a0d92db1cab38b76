package verify

import (
	"context"
	"sync"
	"time"

	"github.com/lightning-db/lightning/engine/vfs"
)

// throttled is a file system from which no more than so many bytes a second are
// read, by all of its files together: for a verify beside other work.
type throttled struct {
	vfs.FS
	ctx       context.Context
	perSecond int64

	mu   sync.Mutex
	next time.Time // when the next read may begin
}

// Open implements vfs.FS.
func (t *throttled) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := t.FS.Open(name, mode)
	if err != nil {
		return nil, err
	}
	return &throttledFile{f, t}, nil
}

type throttledFile struct {
	vfs.File
	t *throttled
}

// ReadAt implements io.ReaderAt.
func (f *throttledFile) ReadAt(p []byte, off int64) (int, error) {
	f.t.wait(len(p))
	return f.File.ReadAt(p, off)
}

// wait returns when n bytes may be read, or nobody wants them any more.
func (t *throttled) wait(n int) {
	t.mu.Lock()
	now := time.Now()
	if t.next.Before(now) {
		t.next = now
	}
	pause := t.next.Sub(now)
	t.next = t.next.Add(time.Duration(float64(n) / float64(t.perSecond) * float64(time.Second)))
	t.mu.Unlock()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}
