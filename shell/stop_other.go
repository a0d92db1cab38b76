//go:build !unix

package shell

// stopProcess does nothing: there is no stopping a process here.
func stopProcess() {}
