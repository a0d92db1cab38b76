package cell

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// claimedMemory is what most cells of the usual size take, pages of files included.
const claimedMemory = 512 << 20

// claim writes to that much memory, so that the host of a virtual machine has to
// provide it, and it is free when this process ends. What is free for some seconds
// such a host may take away, and to get it back costs twenty times what it takes
// to clear it: a cell would pay for what the cells before it left unused.
//
// Where there is not plenty of memory nothing is done, so that nothing has to leave
// it; where a control group has less, the kernel kills this process and no other.
func claim() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o666); err != nil {
		return err
	}
	if availableMemory() < 4*claimedMemory {
		return errors.New("there is not plenty of memory")
	}
	b, err := syscall.Mmap(-1, 0, claimedMemory, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return err
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	return syscall.Munmap(b)
}

// availableMemory is how many bytes the kernel could give without taking from a
// process; 0 where it does not say.
func availableMemory() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(text), "\nMemAvailable:")
	rest, _, _ = strings.Cut(strings.TrimSpace(rest), " kB")
	kb, _ := strconv.ParseInt(rest, 10, 64)
	return kb << 10
}
