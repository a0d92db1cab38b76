package memtable

import (
	"syscall"
	"unsafe"
)

// adviseHuge asks the kernel for huge pages where b lies: a lookup then seldom
// misses the TLB, and a memtable of 32 MiB takes 16 page faults instead of
// 8,000. It is advice: what is in memory does not change, and where there are
// no huge pages nothing does.
//
// The pages at the edges are named whole. What else is in them is memory of
// the same heap.
func adviseHuge(b []byte) {
	const hugePage = 2 << 20
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	end := (start + uintptr(len(b)) + hugePage - 1) &^ (hugePage - 1)
	start &^= hugePage - 1
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_HUGEPAGE)
}
