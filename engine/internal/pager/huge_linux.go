package pager

import (
	"bytes"
	"os"
	"sync"
	"syscall"
)

const (
	madvHugepage = 14
	madvCollapse = 25 // since Linux 6.1
)

// adviseHuge asks the kernel to back the region of Go's heap that begins at the
// address start by one huge page: at once, since by small pages some of it is
// there already. Where the kernel does not, nothing else changes.
//
// The address is a number, not a pointer: there need be no object there.
func adviseHuge(start uintptr) {
	if hugeAllowed() {
		syscall.Syscall(syscall.SYS_MADVISE, start, hugeRegion, madvHugepage)
		syscall.Syscall(syscall.SYS_MADVISE, start, hugeRegion, madvCollapse)
	}
}

// hugeAllowed reports whether the administrator leaves huge pages to programs
// that ask for them. (madvCollapse does not heed it.)
var hugeAllowed = sync.OnceValue(func() bool {
	b, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && !bytes.Contains(b, []byte("[never]"))
})
