//go:build ignore

package main

import (
	"fmt"
	"internal/buildcfg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// go build -toolexec gives the tool that it would run, and what for. This is the
// linker; the others are run.
func init() {
	if len(os.Args) < 2 || strings.HasPrefix(os.Args[1], "-") {
		return
	}
	if strings.TrimSuffix(filepath.Base(os.Args[1]), ".exe") != "link" {
		tool := exec.Command(os.Args[1], os.Args[2:]...)
		tool.Stdin, tool.Stdout, tool.Stderr = os.Stdin, os.Stdout, os.Stderr
		err := tool.Run()
		if tool.ProcessState == nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		os.Exit(tool.ProcessState.ExitCode())
	}
	os.Args = os.Args[1:]
	if len(os.Args) == 2 && os.Args[1] == "-V=full" {
		// Go links anew where this differs.
		fmt.Printf("link version %s slim=%s\n", buildcfg.Version, "EDITS")
		os.Exit(0)
	}
}
