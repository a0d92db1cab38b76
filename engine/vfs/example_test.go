package vfs_test

import (
	"fmt"

	"github.com/lightning-db/lightning/engine/vfs"
)

func ExampleMem_Clone() {
	m := vfs.NewMem()
	m.WriteFile("/file", []byte("before"))
	snapshot := m.Clone()
	m.WriteFile("/file", []byte("after"))
	data, _ := snapshot.ReadFile("/file")
	fmt.Printf("%s\n", data)
	// Output: before
}
