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
