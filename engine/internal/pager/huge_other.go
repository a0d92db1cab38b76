//go:build !linux

package pager

func adviseHuge(uintptr) {}
