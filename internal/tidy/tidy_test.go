package tidy

import (
	"bytes"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lightning-db/lightning"

// root is the repository.
var root = os.DirFS(filepath.Join("..", ".."))

// strata lists the packages from the bottom up. A package imports only from
// strata below its own; those of one stratum do not know one another.
var strata = [][]string{
	{"engine/vfs", "engine/internal/kv", "engine/internal/compress", "engine/internal/filter", "engine/internal/tally", "engine/internal/invariant", "internal/figure"},
	{"engine/vfs/*", "engine/internal/node"},
	{"engine/internal/pager"},
	{"engine/internal/btree", "engine/internal/memtable", "engine/internal/wal", "engine/internal/merge", "engine/internal/txn"},
	{"engine/internal/*"},
	{"engine"},
	{"engine/inspect", "engine/eventlog", "engine/httpstatus"},
	{"verify", "verify/salvage"},
	{"internal/dump", "internal/content", "internal/regex"},
	{"internal/ui", "internal/query"},
	{"stress/workload", "stress/expect", "stress/history"},
	{"import", "export", "stress"},
	{"stress/crash"},
	{"shell"},
	{"internal/gendocs", "internal/tidy", "internal/torture", "internal/canary", "internal/slim", "internal/slim/same"},
	{"cmd/*", "examples/*"},
}

// stratum returns the stratum of a package, by its path in the module.
func stratum(pkg string) int {
	for i, names := range strata {
		if slices.Contains(names, pkg) {
			return i
		}
	}
	for i, names := range strata {
		for _, name := range names {
			if ok, _ := path.Match(name, pkg); ok {
				return i
			}
		}
	}
	return -1
}

// goFiles calls fn with every Go file of the module.
func goFiles(t *testing.T, fn func(name string, text []byte)) {
	t.Helper()
	walk(t, func(name string, text []byte) {
		if strings.HasSuffix(name, ".go") {
			fn(name, text)
		}
	})
}

// walk calls fn with every file that is part of the source.
func walk(t *testing.T, fn func(name string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "bin" || name == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".md", ".sh", ".mod", ".txtar", ""}, path.Ext(name)) {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err == nil {
			fn(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImports_PointOneWay(t *testing.T) {
	goFiles(t, func(name string, text []byte) {
		pkg := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(pkg, "bench") || strings.HasPrefix(pkg, "tools") {
			return // a test may reach for what it needs
		}
		own := stratum(pkg)
		if own < 0 {
			t.Errorf("%s: package %s is in no stratum: add it in internal/tidy", name, pkg)
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Error(err)
			}
			below, ours := strings.CutPrefix(imported, module+"/")
			if ours && stratum(below) >= own {
				t.Errorf("%s imports %s, which is not below it", name, below)
			}
			if strings.HasPrefix(pkg, "engine") && (imported == "os/signal" || strings.HasPrefix(imported, "github.com/spf13/")) {
				t.Errorf("%s imports %s: flags and signals are for cmd/lightning", name, imported)
			}
		}
	})
}

func TestFiles_AreFormatted(t *testing.T) {
	goFiles(t, func(name string, text []byte) {
		formatted, err := format.Source(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(formatted, text) {
			t.Errorf("%s is not formatted: make fmt", name)
		}
	})
}

// forbidden is what no file holds, and why.
var forbidden = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X:)`), "finish it, or open an issue"},
	{regexp.MustCompile(`t\.Ski` + `p(Now)?\(\)`), "a skipped test says why"},
	{regexp.MustCompile(`/(ro` + `ot|ho` + `me/[a-z]+|Us` + `ers/[a-z]+|wo` + `rk/[a-z]+)/`), "a path of somebody's machine"},
}

func TestFiles_HoldNothingForbidden(t *testing.T) {
	walk(t, func(name string, text []byte) {
		for i, line := range strings.Split(string(text), "\n") {
			for _, f := range forbidden {
				if f.pattern.MatchString(line) {
					t.Errorf("%s:%d: %s: %s", name, i+1, strings.TrimSpace(line), f.why)
				}
			}
		}
	})
}

func TestFiles_AreShort(t *testing.T) {
	goFiles(t, func(name string, text []byte) {
		most := 700
		if strings.HasSuffix(name, "_test.go") {
			most = 1000
		}
		if n := bytes.Count(text, []byte{'\n'}); n > most {
			t.Errorf("%s has %d lines: a second idea is hidden in it", name, n)
		}
	})
}

func TestPackages_HaveOneComment(t *testing.T) {
	documented := map[string]string{}
	goFiles(t, func(name string, text []byte) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		pkg := path.Dir(name)
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		if _, ok := documented[pkg]; !ok {
			documented[pkg] = ""
		}
		if file.Doc == nil {
			return
		}
		if other := documented[pkg]; other != "" {
			t.Errorf("%s and %s both have a package comment", other, name)
		}
		documented[pkg] = name
	})
	for pkg, file := range documented {
		if file == "" {
			t.Errorf("package %s has no comment that says what it is", pkg)
		}
	}
}

// TestReadme_NamesTargetsThatExist: the make targets of the documents are in
// the Makefile.
func TestReadme_NamesTargetsThatExist(t *testing.T) {
	makefile, err := fs.ReadFile(root, "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile("(?m)(?:^    |`)make ([a-z-]+)")
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		text, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		targets := called.FindAllStringSubmatch(string(text), -1)
		if len(targets) == 0 {
			t.Errorf("%s names no target", name)
		}
		for _, m := range targets {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				t.Errorf("%s: make %s is not in the Makefile", name, m[1])
			}
		}
	}
}

// TestReadme_LinksLead: the relative links of the documents lead to files.
func TestReadme_LinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	walk(t, func(name string, text []byte) {
		if path.Ext(name) != ".md" {
			return
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := fs.Stat(root, path.Join(path.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
