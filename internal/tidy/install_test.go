package tidy

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstall: make install puts the program, all manual pages and the
// completions below DESTDIR and PREFIX and nothing elsewhere; make uninstall
// removes them, and nothing else.
func TestInstall(t *testing.T) {
	for _, program := range []string{"make", "install"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("no " + program)
		}
	}
	dir := filepath.Join(t.TempDir(), "a package") // paths may have spaces
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "built")
	if err := os.WriteFile(program, []byte("the program"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // where each comes from
		"bin/lightning": program,
		"share/bash-completion/completions/lightning":    "completions/lightning.bash",
		"share/zsh/site-functions/_lightning":            "completions/_lightning",
		"share/fish/vendor_completions.d/lightning.fish": "completions/lightning.fish",
	}
	manuals, err := fs.Glob(root, "man/*.1")
	if err != nil || len(manuals) < 30 {
		t.Fatalf("%d manual pages, %v", len(manuals), err)
	}
	for _, name := range manuals {
		want["share/man/man1/"+path.Base(name)] = name
	}
	run := func(target string) {
		t.Helper()
		cmd := exec.Command("make", "-C", filepath.Join("..", ".."), target, "BINARY="+program, "DESTDIR="+dir, "PREFIX=/opt/x")
		// Not the flags of a make that runs the tests.
		cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
	}
	installed := func() map[string]bool {
		t.Helper()
		found := map[string]bool{}
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && name != "built" {
				found[name] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}

	run("install")
	found := installed()
	for name, source := range want {
		name = "opt/x/" + name
		if !found[name] {
			t.Errorf("not installed: %s", name)
			continue
		}
		delete(found, name)
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(source)
		if !filepath.IsAbs(source) {
			text, err = fs.ReadFile(root, source)
		}
		if err != nil || !bytes.Equal(have, text) {
			t.Errorf("%s is not %s: %v", name, source, err)
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "opt/x/bin/") {
			mode = 0o755
		}
		if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
		}
	}
	for name := range found {
		t.Errorf("installed, too: %s", name)
	}

	// Somebody else's page with such a name stays.
	const other = "opt/x/share/man/man1/lightning-rod.1"
	if err := os.WriteFile(filepath.Join(dir, other), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run("install") // once more, over what is there
	run("uninstall")
	found = installed()
	if !found[other] {
		t.Errorf("uninstall removed %s", other)
	}
	delete(found, other)
	for name := range found {
		t.Errorf("uninstall left %s", name)
	}
}
