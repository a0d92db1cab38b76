//go:build cgo && (lmdb || rocksdb || sqlite)

package driver

import "C"

import (
	"encoding/binary"
	"unsafe"
)

// ptr is where the bytes of b are, for C.
func ptr(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

// Entries are packed for C one after the other:
//
//	0  key length, 4 bytes, little-endian
//	4  value length, the same
//	8  key
//	   value
const packedHeader = 8

// appendPacked packs an entry behind dst.
func appendPacked(dst, key, value []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(key)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value)))
	dst = append(dst, key...)
	return append(dst, value...)
}

// packAll packs entries behind dst.
func packAll(dst []byte, keys, values [][]byte) []byte {
	for i, key := range keys {
		dst = appendPacked(dst, key, values[i])
	}
	return dst
}

// walkPacked calls fn with the entries of buf.
func walkPacked(buf []byte, fn func(key, value []byte)) {
	for len(buf) >= packedHeader {
		k := int(binary.LittleEndian.Uint32(buf))
		v := int(binary.LittleEndian.Uint32(buf[4:]))
		end := packedHeader + k + v
		fn(buf[packedHeader:packedHeader+k], buf[packedHeader+k:end])
		buf = buf[end:]
	}
}
