package ui

import (
	"context"
	"errors"
	"io"
	"os"
)

// Interruptible returns a reader of r whose Read ends with the context's error
// when the context does, even while r, a pipe or a terminal, keeps it waiting.
// The goroutine that waits on r ends with r, or with the process.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	return Stoppable(ctx, r, nil)
}

// Open opens a file to be read. One that keeps it waiting, a FIFO that nobody
// writes to, does so until the context ends.
func Open(ctx context.Context, path string) (*os.File, error) {
	if info, err := os.Stat(path); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return os.Open(path)
	}
	var f *os.File
	var err error
	opened := make(chan struct{})
	go func() {
		f, err = os.Open(path)
		close(opened)
	}()
	select {
	case <-opened:
		return f, err
	case <-ctx.Done():
		go func() {
			<-opened
			_ = f.Close() // whoever writes to it now is to be told
		}()
		return nil, ctx.Err()
	}
}

// Stoppable is Interruptible, and what comes from stop ends one Read, with
// ErrStopped: the next goes on.
func Stoppable(ctx context.Context, r io.Reader, stop <-chan struct{}) io.Reader {
	return &interruptible{ctx: ctx, r: r, stop: stop, chunks: make(chan chunk), free: make(chan []byte, 1)}
}

// ErrStopped is what a Read of Stoppable returns that was stopped.
var ErrStopped = errors.New("stopped")

type chunk struct {
	data []byte
	err  error
}

type interruptible struct {
	ctx     context.Context
	r       io.Reader
	stop    <-chan struct{}
	started bool
	asked   bool // the buffer is with the goroutine
	chunks  chan chunk
	free    chan []byte // the buffer, when the caller has taken what it held

	buf  []byte
	rest []byte
	err  error
}

func (i *interruptible) Read(p []byte) (int, error) {
	for len(i.rest) == 0 {
		if i.err != nil {
			return 0, i.err
		}
		if !i.started {
			i.started = true
			i.buf = make([]byte, 128<<10)
			go i.pump()
		}
		if !i.asked {
			i.free <- i.buf
			i.asked = true
		}
		select {
		case c := <-i.chunks:
			i.rest, i.err, i.asked = c.data, c.err, false
		case <-i.stop:
			return 0, ErrStopped
		case <-i.ctx.Done():
			i.err = i.ctx.Err()
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

func (i *interruptible) pump() {
	for buf := range i.free {
		n, err := i.r.Read(buf)
		select {
		case i.chunks <- chunk{buf[:n], err}:
		case <-i.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
