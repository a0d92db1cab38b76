//go:build cgo && (lmdb || rocksdb || sqlite)

package driver

import "C"

import "unsafe"

// ptr is where the bytes of b are, for C.
func ptr(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
