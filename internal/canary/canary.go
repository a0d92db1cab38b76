package main

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// canary is a bug that can be planted.
type canary struct {
	name   string // of the package and the bug, with a slash between
	breaks string // what is wrong with it in
	file   string // from the root of the module
	old    string // stands there once
	new    string // takes its place
	more   []swap // of the same file
	test   string // that must fail: its name, or with a slash that of a subtest too
	in     string // the folder of the test; that of the file if empty
}

// swap replaces text that stands in a file once.
type swap struct{ old, new string }

// apply plants the bug in the text of its file.
func (c *canary) apply(text string) (string, error) {
	var failed []error
	for _, s := range append([]swap{{c.old, c.new}}, c.more...) {
		if n := strings.Count(text, s.old); n != 1 || s.old == "" {
			failed = append(failed, fmt.Errorf("%s: %s: found %d times, want 1: %q", c.name, c.file, n, s.old))
			continue
		}
		text = strings.Replace(text, s.old, s.new, 1)
	}
	return text, errors.Join(failed...)
}

// in completes the canaries of a folder.
func in(folder string, list ...canary) []canary {
	for i := range list {
		c := &list[i]
		c.name = path.Base(folder) + "/" + c.name
		c.file = folder + "/" + c.file
		if c.in == "" {
			c.in = folder
		}
	}
	return list
}
