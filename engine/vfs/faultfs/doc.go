// Package faultfs holds file systems that go wrong on purpose.
//
// Sim is a file system in memory that models what a disk keeps. It writes a
// journal of every operation, from which Image rebuilds, after one run of a
// scenario, what a crash at any of its operations can leave:
//
//	sim := faultfs.NewSim()
//	runScenario(sim)
//	for n := 0; n <= sim.Ops(); n++ {
//		for _, d := range faultfs.Damages(8, seed) {
//			checkRecovery(sim.Image(n, d))
//		}
//	}
//
// Injector wraps any file system and makes calls fail, writes stop short,
// reads flip bits and the disk fill up.
//
// Both write down what was called (Trace), which files were left open
// (OpenFiles), and breaches of the rule that a failed sync is never tried
// again (Violations).
package faultfs
