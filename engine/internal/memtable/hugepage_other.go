//go:build !linux

package memtable

func adviseHuge([]byte) {}
