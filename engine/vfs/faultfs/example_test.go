package faultfs_test

import (
	"fmt"

	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// A file is written and synced, but its directory is not: the power cut takes
// the name, and with it the data.
func ExampleSim_Image() {
	sim := faultfs.NewSim()
	f, _ := sim.Open("/file", vfs.Create)
	f.WriteAt([]byte("data"), 0)
	f.Sync()
	beforeSyncDir := sim.Ops()
	sim.SyncDir("/")

	for n := beforeSyncDir; n <= sim.Ops(); n++ {
		fmt.Println(sim.Trace()[n-1], "- then a crash leaves", len(sim.Image(n, faultfs.All).Names()), "files")
	}
	// Output:
	// sync /file - then a crash leaves 0 files
	// syncdir / - then a crash leaves 1 files
}

func ExampleInjector_FailNth() {
	in := faultfs.Inject(vfs.NewMem())
	in.FailNth(1, faultfs.ErrIO, false, faultfs.OpSync)
	f, _ := in.Open("/file", vfs.Create)
	fmt.Println(f.Sync())
	// Output: sync /file: input/output error
}
