// Slim copies dependencies into bin/slim without the parts that Lightning never
// calls but that the linker would keep, and writes bin/slim/go.mod, which is
// go.mod with these copies in the place of the originals:
//
//	go run ./internal/slim
//	go build -modfile=bin/slim/go.mod ./cmd/lightning
//
// What is taken out is in table.go. It takes the versions that go.mod requires,
// from the module cache, and fails where an edit does not match its file
// exactly once; so a new version cannot lose one unseen.
//
// It copies because go build -overlay refuses files of the module cache.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// out is the folder of the copies, from the root of the repository. Its go.mod
// makes it a module of its own, so ./... does not go into it.
const out = "bin/slim"

func main() {
	if err := run("."); err != nil {
		fmt.Fprintf(os.Stderr, "slim: %v\n", err)
		os.Exit(1)
	}
}

// run makes out anew below root, the repository. go.mod comes last: where it
// is, all of it is.
func run(root string) error {
	if err := os.RemoveAll(filepath.Join(root, out)); err != nil {
		return err
	}
	replaces := []string{}
	var failed error // all that a new version broke, at once
	for _, m := range table {
		version, dir, err := locate(root, m.path)
		if err != nil {
			return err
		}
		files, err := slimmed(m.path+"@"+version, os.DirFS(dir), m.edits)
		failed = errors.Join(failed, err)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := write(filepath.Join(root, out, m.path, name), files[name]); err != nil {
				return err
			}
		}
		replaces = append(replaces, fmt.Sprintf("\t%s %s => ./%s\n", m.path, version, path.Join(out, m.path)))
	}
	if failed != nil {
		return failed
	}

	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		return err
	}
	if err := write(filepath.Join(root, out, "go.sum"), string(sums)); err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return err
	}
	return write(filepath.Join(root, out, "go.mod"), string(mod)+"\nreplace (\n"+strings.Join(replaces, "")+")\n")
}

// locate returns the version of a module that go.mod selects, and the folder in
// the module cache that holds it, which Go fills if need be.
func locate(root, module string) (version, dir string, err error) {
	cmd := exec.Command("go", "list", "-find", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.Dir}}{{end}}", module)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	line, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("go list %s: %w: %s", module, err, bytes.TrimSpace(complaint.Bytes()))
	}
	fields := strings.SplitN(strings.TrimSpace(string(line)), " ", 3)
	if len(fields) != 3 || fields[0] != module || fields[1] == "" || fields[2] == "" {
		return "", "", fmt.Errorf("%s: have %q, want a version and a folder of the module cache (with vendor/ there is none: go build ./cmd/lightning takes the originals)", module, bytes.TrimSpace(line))
	}
	return fields[1], fields[2], nil
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
			if file != "." && (d.Name() == "testdata" || strings.ContainsAny(d.Name()[:1], "._")) {
				return fs.SkipDir
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

func write(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
