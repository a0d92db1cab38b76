package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
)

// watch knows which files are open, and sees that a failed sync is never
// tried again (W4 of the reliability programme) and that every file is closed
// (W6). A file whose last handle was closed may be synced again: opening it
// anew stands for a new process.
type watch struct {
	mu         sync.Mutex
	open       map[string]int // handles by name
	failed     map[string]bool
	violations []string
}

func (w *watch) opened(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open, w.failed = make(map[string]int), make(map[string]bool)
	}
	w.open[filepath.Clean(name)]++
}

func (w *watch) closed(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name = filepath.Clean(name)
	w.open[name]--
	if w.open[name] == 0 {
		delete(w.open, name)
		delete(w.failed, name)
	}
}

// synced notes the result of a sync.
func (w *watch) synced(name string, err error) {
	if errors.Is(err, ErrStopped) || errors.Is(err, fs.ErrClosed) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	name = filepath.Clean(name)
	if w.failed[name] {
		w.violations = append(w.violations, fmt.Sprintf("W4: sync of %s after a failed sync", filepath.ToSlash(name)))
	}
	if err != nil {
		w.failed[name] = true
	}
}

// OpenFiles returns the names of all files and locks that are open, sorted,
// once for each handle.
func (w *watch) OpenFiles() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(w.open)) {
		for range w.open[name] {
			names = append(names, name)
		}
	}
	return names
}

// Violations returns what was done that must not be, in the order it was
// done.
func (w *watch) Violations() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}
