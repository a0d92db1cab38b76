package main

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// shortName returns what a stack trace calls a function, a hash of its name: six
// bytes for about forty. The same function has the same one in each build.
func shortName(name string) string {
	if runtimeReads(name) {
		return name
	}
	hash := sha256.Sum256([]byte(name))
	return "." + base64.RawURLEncoding.EncodeToString(hash[:])[:5]
}

// runtimeReads tells whether the name of a function means something to the
// runtime: it interrupts no function of these packages, finds arguments of two of
// reflect's by name, and leaves those of runtime, and what has no dot, out of
// stack traces.
func runtimeReads(name string) bool {
	return !strings.Contains(name, ".") ||
		strings.HasPrefix(name, "runtime.") ||
		strings.HasPrefix(name, "internal/runtime/") ||
		strings.HasPrefix(name, "reflect.")
}
