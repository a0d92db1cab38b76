package pager

import (
	"bytes"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

const madvCollapse = 25 // since Linux 6.1

// makeHuge asks the kernel to back the region of Go's heap that begins at the
// address start by one huge page. Where the kernel does not, nothing else
// changes.
//
// (MADV_HUGEPAGE would stay with the region: the kernel would fill it again, bit
// by bit, when the runtime has given most of it back.)
//
// The address is a number, not a pointer: there need be no object there.
func makeHuge(start uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, hugeRegion, madvCollapse)
}

// mostlyResident reports whether three quarters of the region that begins at
// start are in memory, and huge pages are wanted at all.
func mostlyResident(start uintptr) bool {
	if !hugeAllowed() {
		return false
	}
	var pages [hugeRegion / 4096]byte // none is smaller
	n := hugeRegion / os.Getpagesize()
	if _, _, errno := syscall.Syscall(syscall.SYS_MINCORE, start, hugeRegion, uintptr(unsafe.Pointer(&pages))); errno != 0 {
		return false
	}
	resident := 0
	for _, p := range pages[:n] {
		resident += int(p & 1)
	}
	return resident >= n*3/4
}

// hugeAllowed reports whether the administrator leaves huge pages to programs
// that ask for them. (madvCollapse does not heed it.)
var hugeAllowed = sync.OnceValue(func() bool {
	b, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && !bytes.Contains(b, []byte("[never]"))
})
