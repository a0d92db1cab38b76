//go:build linux || darwin

package workload

import (
	"syscall"
	"time"
)

// cpuTime is the time that this process has spent on a processor, in its own
// code and in the system's.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
