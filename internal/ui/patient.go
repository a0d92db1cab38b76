package ui

import (
	"context"
	"io"
	"os"
	"time"
)

// patience is how long somebody who reads may take for what is written when the
// context is done.
const patience = time.Second

// Patient returns a writer to f that waits for the one who reads f, a pipe or a
// terminal, but no longer when the context is done: a Write that then takes more
// than a second returns the context's error, and so does each later one. To a
// file it is f itself.
func Patient(ctx context.Context, f *os.File) io.Writer {
	if info, err := f.Stat(); err != nil || info.Mode().IsRegular() {
		return f
	}
	return &patient{ctx: ctx, f: f, done: make(chan written, 1)}
}

type written struct {
	n   int
	err error
}

type patient struct {
	ctx  context.Context
	f    *os.File
	buf  []byte // what is written: p stays the caller's when it is given up
	done chan written
	err  error
}

func (p *patient) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	p.buf = append(p.buf[:0], b...)
	go func() {
		n, err := p.f.Write(p.buf)
		p.done <- written{n, err}
	}()
	stopped := p.ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case w := <-p.done:
			return w.n, w.err
		case <-stopped:
			stopped, late = nil, time.After(patience)
		case <-late:
			p.err = p.ctx.Err()
			return 0, p.err
		}
	}
}

// Terminal is where it writes to, for who asks how wide that is.
func (p *patient) Terminal() io.Writer { return p.f }
