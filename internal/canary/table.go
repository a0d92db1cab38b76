package main

import "slices"

// canaries are all bugs that can be planted.
func canaries() []canary {
	return slices.Concat(
		ofTheLog(), ofThePager(), ofTheNodes(), ofTheMemtable(),
		ofCommits(), ofCheckpoints(), ofBackups(), ofTheTools(),
	)
}
