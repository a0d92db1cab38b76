package workload

import "syscall"

// CPUName is what the processor calls itself, or "".
func CPUName() string {
	name, _ := syscall.Sysctl("machdep.cpu.brand_string")
	return name
}

// InMemory reports whether the files of a directory are kept in memory only.
func InMemory(string) bool { return false }
