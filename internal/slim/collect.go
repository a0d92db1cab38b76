package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The import paths of the copies begin so.
const (
	ours   = "l"
	theirs = "x"
)

// A source is a module that packages are taken from.
type source struct {
	path  string            // of its packages
	copy  string            // of their copies
	files map[string]string // by slash-separated path
}

// A collection is what the copies are made of.
type collection struct {
	root    string
	sources []source
	files   map[string]string // the copies, by path in the folder of the copies
	seen    map[string]bool   // packages, by import path
	failed  error             // all that a new version broke, at once
}

// collect returns the copies of programs, and of what they import on any
// platform, by their paths in the folder of the copies.
func collect(root string, programs []string) (map[string]string, error) {
	module, err := goTool(root, "list", "-m")
	if err != nil {
		return nil, err
	}
	files, err := slimmed(module, os.DirFS(root), nil)
	if err != nil {
		return nil, err
	}
	c := &collection{root, []source{{module, ours, files}}, map[string]string{}, map[string]bool{}, nil}
	for _, program := range programs {
		if err := c.add(path.Join(module, program)); err != nil {
			return nil, err
		}
	}
	for _, m := range table {
		if !slices.ContainsFunc(c.sources, func(s source) bool { return s.path == m.path }) {
			c.failed = errors.Join(c.failed, fmt.Errorf("%s: nothing imports it: take it out of the table", m.path))
		}
	}
	version := ""
	for line := range strings.Lines(files["go.mod"]) {
		if strings.HasPrefix(line, "go ") {
			version = line
		}
	}
	c.files["src/go.mod"] = "module " + ours + "\n\n" + version + "\nrequire " + theirs + " v0.0.0\n\nreplace " + theirs + " => ../x\n"
	c.files["x/go.mod"] = "module " + theirs + "\n\n" + version
	return c.files, c.failed
}

// add adds a package, with all that it imports but the standard library.
func (c *collection) add(pkg string) error {
	if first, _, _ := strings.Cut(pkg, "/"); !strings.Contains(first, ".") || c.seen[pkg] {
		return nil
	}
	c.seen[pkg] = true
	from, err := c.source(pkg)
	if err != nil {
		return err
	}
	dir, found := strings.TrimPrefix(strings.TrimPrefix(pkg, from.path), "/"), false
	for _, name := range slices.Sorted(maps.Keys(from.files)) {
		if in := path.Dir(name); in != path.Join(".", dir) || path.Base(name) == "go.mod" {
			continue
		}
		text := from.files[name]
		if path.Ext(name) == ".go" {
			if ignored(text) {
				continue
			}
			redirected, imports, err := c.redirect(text)
			if err != nil {
				return fmt.Errorf("%s/%s: %w", from.path, name, err)
			}
			text = redirected
			for _, imported := range imports {
				if err := c.add(imported); err != nil {
					return err
				}
			}
			found = true
		}
		_, within, _ := strings.Cut(from.copy+"/", "/") // module x is in x, ours in src
		top := "src"
		if from.copy != ours {
			top = "x"
		}
		c.files[path.Join(top, within, name)] = text
	}
	if !found {
		return fmt.Errorf("%s: no such package in %s", pkg, from.path)
	}
	return nil
}

// ignored tells whether a Go file is of no package, as a program that generates
// others.
func ignored(text string) bool {
	head, _, _ := strings.Cut(text, "\npackage ")
	return slices.Contains(strings.Split(head, "\n"), "//go:build ignore")
}

// redirect has a Go file import the copies, and returns what it imported.
func (c *collection) redirect(text string) (redirected string, imports []string, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.ImportsOnly)
	if err != nil {
		return "", nil, err
	}
	for _, spec := range slices.Backward(file.Imports) {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return "", nil, err
		}
		if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
			continue
		}
		imports = append(imports, imported)
		from, err := c.source(imported)
		if err != nil {
			return "", nil, err
		}
		at, end := fset.Position(spec.Path.Pos()).Offset, fset.Position(spec.Path.End()).Offset
		text = text[:at] + strconv.Quote(from.copy+strings.TrimPrefix(imported, from.path)) + text[end:]
	}
	return text, imports, nil
}

// source returns the module of a package, with its edits made.
func (c *collection) source(pkg string) (source, error) {
	for _, s := range c.sources {
		if pkg == s.path || strings.HasPrefix(pkg, s.path+"/") {
			return s, nil
		}
	}
	module, version, dir, err := locate(c.root, pkg)
	if err != nil {
		return source{}, err
	}
	edits := []edit{}
	for _, m := range table {
		if m.path == module {
			edits = m.edits
		}
	}
	files, err := slimmed(module+"@"+version, os.DirFS(dir), edits)
	c.failed = errors.Join(c.failed, err)
	s := source{module, path.Join(theirs, shorten(module)), files}
	for _, other := range c.sources {
		if other.copy == s.copy {
			return source{}, fmt.Errorf("%s and %s have the same name", other.path, s.path)
		}
	}
	c.sources = append(c.sources, s)
	return s, nil
}

// shorten returns the last word of a module's path, without its version.
func shorten(module string) string {
	name := path.Base(module)
	if _, err := strconv.Atoi(strings.TrimPrefix(name, "v")); err == nil {
		name = path.Base(path.Dir(module))
	}
	return strings.TrimPrefix(name, "go-")
}

// locate returns the module of a package, the version of it that go.mod selects,
// and the folder in the module cache that holds it, which Go fills if need be.
func locate(root, pkg string) (module, version, dir string, err error) {
	line, err := goTool(root, "list", "-e", "-find", "-f", "{{with .Module}}{{.Path}} {{.Version}} {{.Dir}}{{end}}", pkg)
	if err != nil {
		return "", "", "", err
	}
	fields := strings.SplitN(line, " ", 3)
	if len(fields) != 3 || fields[0] == "" || fields[1] == "" || fields[2] == "" {
		return "", "", "", fmt.Errorf("%s: have %q, want a module, its version and its folder in the module cache (with vendor/ there is none: go build ./cmd/lightning takes the originals)", pkg, line)
	}
	return fields[0], fields[1], fields[2], nil
}

// goTool runs go in root, for this platform, and returns what it prints.
func goTool(root string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=", "GOARCH=", "CGO_ENABLED=0")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return string(bytes.TrimSpace(text)), nil
}
