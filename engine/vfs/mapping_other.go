//go:build !linux

package vfs

// unmap has nothing to do: files are mapped on Linux only, where a sync of the
// file is known to cover what was stored into its mapping.
func (m *mapping) unmap() error { return nil }
