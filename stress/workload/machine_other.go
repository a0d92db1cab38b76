//go:build !linux && !darwin

package workload

import "os"

// CPUName is what the processor calls itself, or "".
func CPUName() string { return os.Getenv("PROCESSOR_IDENTIFIER") }

// InMemory reports whether the files of a directory are kept in memory only.
func InMemory(string) bool { return false }
