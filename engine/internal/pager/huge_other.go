//go:build !linux

package pager

func mostlyResident(uintptr) bool { return true }

func makeHuge(uintptr) {}
