package vfs

import (
	"fmt"
	"runtime/debug"
)

// mapping is the part of a file that is mapped into memory; nil maps nothing.
type mapping []byte

// covers reports whether all n bytes at off are mapped.
func (m mapping) covers(n int, off int64) bool {
	return off >= 0 && off <= int64(len(m)) && int64(n) <= int64(len(m))-off && m != nil
}

// store copies p into the mapping. The system tells of a page that it cannot
// provide (the disk failed, the file was cut short) by a signal; the runtime
// turns that into a panic on this goroutine only, and store into an error.
// Some of p may have been stored then.
func (m mapping) store(p []byte, off int64) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}()
	copy(m[off:], p)
	return nil
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
