package ui

import (
	"context"
	"io"
)

// Interruptible returns a reader of r whose Read ends with the context's error
// when the context does, even while r, a pipe or a terminal, keeps it waiting.
// The goroutine that waits on r ends with r, or with the process.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	return &interruptible{ctx: ctx, r: r, chunks: make(chan chunk), free: make(chan []byte, 1)}
}

type chunk struct {
	data []byte
	err  error
}

type interruptible struct {
	ctx     context.Context
	r       io.Reader
	started bool
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
		i.free <- i.buf
		select {
		case c := <-i.chunks:
			i.rest, i.err = c.data, c.err
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
