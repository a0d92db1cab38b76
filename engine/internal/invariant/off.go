//go:build !invariants

package invariant

// On tells that the checks are compiled.
const On = false
