//go:build !linux

package main

func onNetwork(string) bool { return false }
