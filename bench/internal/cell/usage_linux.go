package cell

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is what the process has used, of user and system time.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func allocated(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}

// memoryWatch samples how much memory of the process is not pages of files:
// the kernel notes the peak of all of it, and not of this.
type memoryWatch struct {
	quit chan struct{}
	done chan int64
}

func watchMemory() *memoryWatch {
	m := &memoryWatch{make(chan struct{}), make(chan int64)}
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		peak := int64(0)
		for {
			peak = max(peak, statusBytes("RssAnon:"))
			select {
			case <-tick.C:
			case <-m.quit:
				m.done <- peak
				return
			}
		}
	}()
	return m
}

// stop returns the peaks of the resident set and of the sampled part of it.
func (m *memoryWatch) stop() (rss, anon int64) {
	close(m.quit)
	return statusBytes("VmHWM:"), <-m.done
}

// statusBytes reads a size from /proc/self/status; 0 when it is not there.
func statusBytes(name string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
