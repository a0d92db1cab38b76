package faultfs

import (
	"errors"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine/vfs"
)

// injectedLock is a held lock of an Injector.
type injectedLock struct {
	in     *Injector
	inner  vfs.Lock
	name   string
	closed atomic.Bool
}

func (l *injectedLock) SetHolder(holder string) error {
	if err := l.in.before(Op{Kind: OpSetHolder, Name: l.name}); err != nil {
		return pathError("lock", l.name, err)
	}
	return l.inner.SetHolder(holder)
}

func (l *injectedLock) Close() error {
	fault := pathError("close", l.name, l.in.before(Op{Kind: OpClose, Name: l.name}))
	err := l.inner.Close()
	if !l.closed.Swap(true) {
		l.in.closed(l.name)
	}
	return errors.Join(fault, err)
}
