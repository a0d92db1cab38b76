// Package invariant turns on checks that are too dear for a program in use: go
// build or go test with -tags invariants. A check that fails is a bug of ours,
// and panics. Without the tag On is a constant false, and nothing of a check is
// compiled:
//
//	if invariant.On {
//		invariant.Hold(table.Check())
//	}
package invariant

import "fmt"

// Hold panics with err, if it is not nil.
func Hold(err error) {
	if err != nil {
		panic(fmt.Sprint("invariant: ", err))
	}
}

// That panics with the message unless ok.
func That(ok bool, format string, args ...any) {
	if !ok {
		panic("invariant: " + fmt.Sprintf(format, args...))
	}
}
