//go:build alone

package driver

// With the tag alone no peer is in the program, as none is in a program that
// embeds Lightning: by itself their code takes 30 MB of memory.
var peers []*Driver
