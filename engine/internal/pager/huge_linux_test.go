package pager

import (
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// A region of which little is in memory stays so, however many nodes are read
// into it; once three quarters are, it becomes a huge page, where the system has
// them. (A cache of 8 MiB made a process whose heap was thin grow by 760 MiB.)
func TestHugePages_LeavesAThinRegion(t *testing.T) {
	memory, err := syscall.Mmap(-1, 0, 2*hugeRegion, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(memory)
	start := -uintptr(unsafe.Pointer(unsafe.SliceData(memory))) % hugeRegion
	region := memory[start : start+hugeRegion]
	page := os.Getpagesize()
	pages := hugeRegion / page
	resident := func() (n int) {
		var in [hugeRegion / 4096]byte
		if _, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&region[0])), hugeRegion, uintptr(unsafe.Pointer(&in))); errno != 0 {
			t.Fatal(errno)
		}
		for _, p := range in[:pages] {
			n += int(p & 1)
		}
		return n
	}
	var h hugePages
	h.init(64 << 20)
	seen := &h.seen[uintptr(unsafe.Pointer(&region[0]))/hugeRegion%uintptr(len(h.seen))]
	put := func(i int) {
		n := region[i*page:][:page]
		n[0] = byte(i)
		h.cover(n)
	}
	region[0] = 1 // where huge pages are for everybody this brings in all of it
	if err := syscall.Madvise(region[hugeRegion/2:], syscall.MADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
	for i := range 100 * pages {
		put(i % (pages / 2)) // the same memory again and again, as garbage is collected
	}
	if n := resident(); n > pages/2 {
		t.Errorf("%d pages of %d are in memory, %d were used", n, pages, pages/2)
	}
	for i := range pages {
		put(i)
	}
	if have := seen.Load()%(1<<progressBits) == settled; have != hugeAllowed() {
		t.Errorf("the region is full: a huge page was asked for: %v, huge pages are allowed: %v", have, hugeAllowed())
	}
	for i := range pages {
		if region[i*page] != byte(i) {
			t.Fatalf("page %d has changed", i)
		}
	}
}
