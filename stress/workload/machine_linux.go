package workload

import (
	"bytes"
	"os"
	"syscall"
)

// CPUName is what the processor calls itself, or "".
func CPUName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	text := make([]byte, 4096) // the first processor is in it
	n, _ := f.Read(text)
	text = text[:n]
	_, line, _ := bytes.Cut(text, []byte("model name\t: "))
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return string(bytes.TrimSpace(line))
}

// InMemory reports whether the files of a directory are kept in memory only, so
// that syncing them costs nothing and means nothing.
func InMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var s syscall.Statfs_t
	err := syscall.Statfs(dir, &s)
	return err == nil && (uint32(s.Type) == tmpfs || uint32(s.Type) == ramfs)
}
