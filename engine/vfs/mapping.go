package vfs

import (
	"fmt"
	"runtime/debug"
)

// mapping is how writes reach a file through memory: a window on it, which
// moves to where they go. It is small because a page that is mapped is dear to
// sync: the kernel takes the right to write it away, page by page, and each
// time tells the other processors.
type mapping struct {
	limit  int64 // of the file: writes before it are stores
	start  int64 // where the window is in the file
	window []byte
}

const (
	windowBytes = 512 << 10
	// largeWrite is the size from which a system call costs less than the
	// faults of a store.
	largeWrite = 16 << 10
)

// takes reports whether a write of n bytes at off is a store.
func (m *mapping) takes(n int, off int64) bool {
	return m.limit > 0 && off >= 0 && n < largeWrite && int64(n) <= m.limit-off
}

// covered returns the part of the window from off on, empty where that is
// outside.
func (m *mapping) covered(off int64) []byte {
	if i := off - m.start; i >= 0 && i < int64(len(m.window)) {
		return m.window[i:]
	}
	return nil
}

// store copies as much of p into a window as that holds. The system tells of a
// page that it cannot provide (the disk failed or is full, the file was cut
// short) by a signal; the runtime turns that into a panic on this goroutine only,
// and store into an error. Some of p may have been stored then.
func store(window, p []byte) (n int, err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}()
	return copy(window, p), nil
}

// faultError returns the error for a fault at an address, and lets any other
// panic go on.
func faultError(r any) error {
	fault, ok := r.(interface {
		error
		Addr() uintptr
	})
	if !ok {
		panic(r)
	}
	return fmt.Errorf("fault in mapped file: %w", fault)
}
