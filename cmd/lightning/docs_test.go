package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/gendocs"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/stress/workload"
)

var update = flag.Bool("update", false, "write man/ and completions/ anew")

// TestDocs_AreFresh: the manual pages and completion scripts in the repository
// are those of the commands. `make generate` writes them.
func TestDocs_AreFresh(t *testing.T) {
	a := &app{Streams: &ui.Streams{Out: io.Discard, Err: io.Discard}, ctx: context.Background(), out: bufio.NewWriter(io.Discard)}
	files, err := gendocs.Files(a.root())
	if err != nil {
		t.Fatal(err)
	}
	repository := filepath.Join("..", "..")
	for _, dir := range []string{"man", "completions"} {
		old, err := filepath.Glob(filepath.Join(repository, dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range old {
			if files[dir+"/"+filepath.Base(path)] != nil {
				continue
			}
			if !*update {
				t.Errorf("%s is of no command: make generate", path)
			} else if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
	for name, want := range files {
		path := filepath.Join(repository, filepath.FromSlash(name))
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is stale (%v): make generate", name, err)
		}
	}
}

// TestManuals: each command that help lists has a page and an example, a page refers to pages that
// there are, each page is referred to, and options look as they are typed: cobra wrote --json[=false] and --file="".
func TestManuals(t *testing.T) {
	pages := map[string]bool{}
	paths, err := filepath.Glob("../../man/*.1")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d pages, %v", len(paths), err)
	}
	for _, path := range paths {
		pages[strings.TrimSuffix(filepath.Base(path), ".1")] = false
	}
	reference, odd := regexp.MustCompile(`\\fB(lightning[a-z-]*)\(1\)`), regexp.MustCompile(`\\fB--[a-z-]+\\fP(\[|=)`)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range reference.FindAllStringSubmatch(string(text), -1) {
			if _, ok := pages[found[1]]; !ok {
				t.Errorf("%s refers to %s, which is not there", path, found[1])
			}
			pages[found[1]] = true
		}
		if found := odd.Find(text); found != nil {
			t.Errorf("%s has %s", path, found)
		}
	}
	for page, found := range pages {
		if !found {
			t.Errorf("no page refers to %s", page)
		}
	}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if _, ok := pages[strings.ReplaceAll(cmd.CommandPath(), " ", "-")]; !ok && !cmd.Hidden && cmd.Name() != "help" {
			t.Errorf("no page of %s", cmd.CommandPath())
		}
		if cmd.Example == "" && !cmd.Hidden && cmd.Runnable() {
			t.Errorf("no example of %s", cmd.CommandPath())
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newApp(t.Context(), &ui.Streams{Out: io.Discard, Err: io.Discard}).root())
}

// TestInstallation_NamesFiles: who removes the program is told of the files that it
// leaves in the home directory.
func TestInstallation_NamesFiles(t *testing.T) {
	text, err := os.ReadFile("../../docs/INSTALLATION.md")
	if err != nil {
		t.Fatal(err)
	}
	_, out, ok := strings.Cut(string(text), "## Out again")
	for _, file := range []string{"$XDG_STATE_HOME/lightning/history", "~/.local/state/lightning", "$XDG_CONFIG_HOME/lightning/config", "~/.config/lightning"} {
		if !ok || !strings.Contains(out, file) {
			t.Errorf("%s is not named", file)
		}
	}
}

// TestBench_HelpNamesTheDefault: the help of bench names the workloads that it
// runs when none is named.
func TestBench_HelpNamesTheDefault(t *testing.T) {
	help := strings.Join(strings.Fields(benchLong), " ")
	if want := "With no name: " + strings.Join(workload.Default, ", ") + "."; !strings.Contains(help, want) {
		t.Errorf("the help does not say %q", want)
	}
	for _, name := range workload.Default {
		if workload.Find(name) == nil {
			t.Errorf("no workload %s", name)
		}
	}
}
