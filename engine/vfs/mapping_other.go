//go:build !linux

package vfs

import "errors"

// Files are mapped on Linux only, where a sync of the file is known to cover
// what was stored into its mapping.

func (f *osFile) slide(int64) error { return errors.ErrUnsupported }

func (m *mapping) unmap() error { return nil }
