package verify_test

import (
	"context"
	"fmt"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/verify"
)

func ExampleRun() {
	fs := vfs.NewMem()
	db, err := engine.Open("my.db", &engine.Options{FS: fs})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = db.Put([]byte("apple"), []byte("red"))
	_ = db.Close()

	report, err := verify.Run(context.Background(), "my.db", verify.Options{FS: fs})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Findings {
		fmt.Printf("%s at offset %d: %s\n", f.Path, f.Offset, f.Reason)
	}
	fmt.Println(report.OK, report.Keys)
	// Output: true 1
}

func ExampleScrub() {
	fs := vfs.NewMem()
	db, err := engine.Open("my.db", &engine.Options{FS: fs})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	_ = db.Put([]byte("apple"), []byte("red"))
	_, _ = db.Checkpoint(context.Background())

	pass, err := verify.Scrub(context.Background(), "my.db", "my.scrub", verify.Options{
		FS:             fs,
		BytesPerSecond: 20_000_000,
		Found:          func(f verify.Finding) { fmt.Println("damage:", f.Path, f.Offset, f.Reason) },
	})
	if err != nil { // the next call goes on where this one was
		fmt.Println(err)
		return
	}
	fmt.Println(pass.Keys, "keys,", pass.Count(), "findings")
	// Output: 1 keys, 0 findings
}
