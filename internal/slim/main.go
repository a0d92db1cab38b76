// Slim copies what bin/lightning is built from into bin/slim: src, our packages,
// and x, the packages of dependencies, both under import paths of one word, for
// the name of each type begins with one. It builds bin/link.exe, the linker, from
// Go's own and the changes in linker.go, which are in bin/slim/linker:
//
//	go run ./internal/slim
//	CGO_ENABLED=0 go build -C bin/slim/src -toolexec=$PWD/bin/link.exe ./cmd/lightning
//
// The copies of dependencies lack the parts that Lightning never calls but that
// the linker would keep; they are in table.go. It takes the versions that go.mod
// requires, from the module cache, and fails where an edit does not match its
// file exactly once; so a new version cannot lose one unseen.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	program := flag.String("trace", "", "put the names and lines of this `program`, which Go linked, into the stack trace on standard input")
	flag.Parse()
	if err := do(*program); err != nil {
		fmt.Fprintf(os.Stderr, "slim: %v\n", err)
		os.Exit(1)
	}
}

func do(program string) error {
	if program == "" {
		return run(".", "cmd/lightning")
	}
	trace, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	explained, err := explain(string(trace), program)
	fmt.Print(explained)
	return err
}

// out is the folder of the copies, from the root of the repository. Their go.mod
// makes them modules of their own, so ./... does not go into them.
const out = "bin/slim"

// run makes the copies of programs, folders of root, the repository, and of all
// that they import, and builds the linker. It writes only what differs: the rest
// keeps its time, and so its place in Go's cache. src/go.mod gets the time of the
// begin, for make: what is younger is not in yet.
func run(root string, programs ...string) error {
	begin := time.Now()
	files, err := collect(root, programs)
	if err != nil {
		return err
	}
	if err := addLinker(root, files); err != nil {
		return err
	}
	dir := filepath.Join(root, out)
	if err := write(dir, files); err != nil {
		return err
	}
	if err := buildLinker(root); err != nil {
		return err
	}
	return os.Chtimes(filepath.Join(dir, "src", "go.mod"), begin, begin)
}

// write makes dir hold these files, and no others.
func write(dir string, files map[string]string) error {
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		within, err := filepath.Rel(dir, name)
		if _, ok := files[filepath.ToSlash(within)]; ok || err != nil {
			return err
		}
		return os.Remove(name)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		name := filepath.Join(dir, filepath.FromSlash(file))
		if old, err := os.ReadFile(name); err == nil && string(old) == files[file] {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(files[file]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// slimmed returns the files of a module that a build reads, with the edits made,
// by their slash-separated paths. The error has a line for each edit that failed,
// and calls the module name.
func slimmed(name string, module fs.FS, edits []edit) (map[string]string, error) {
	original := map[string]string{}
	err := fs.WalkDir(module, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if file == "." {
				return nil
			}
			if _, err := fs.Stat(module, path.Join(file, "go.mod")); err == nil || d.Name() == "testdata" || strings.ContainsAny(d.Name()[:1], "._") {
				return fs.SkipDir // of another module, or of none
			}
			return nil
		case file != "go.mod" && !slices.Contains([]string{".go", ".s", ".h"}, path.Ext(file)), strings.HasSuffix(file, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(module, file)
		original[file] = string(text)
		return err
	})
	if err != nil {
		return nil, err
	}

	files := maps.Clone(original)
	var failed error
	fail := func(file, what string, err error) {
		failed = errors.Join(failed, fmt.Errorf("%s/%s: %s: %w", name, file, what, err))
	}
	for _, e := range edits {
		text, ok := files[e.file]
		switch {
		case !ok:
			fail(e.file, e.name, errors.New("no such file"))
		case e.apply == nil:
			delete(files, e.file)
		default:
			if text, err = e.apply(text); err != nil {
				fail(e.file, e.name, err)
				continue
			}
			files[e.file] = text
		}
	}
	for file, text := range files {
		if text == original[file] {
			continue
		}
		if files[file], err = withoutUnusedImports(text, original[file]); err != nil {
			fail(file, "imports", err)
		}
	}
	return files, failed
}
