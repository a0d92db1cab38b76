//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/internal/ui"
)

// Tab in the shells themselves completes keys of the data, colons and all, and
// runs nothing of them.
func TestCompletion_Shells(t *testing.T) {
	const bashCompletion = "/usr/share/bash-completion/bash_completion"
	completions, err := filepath.Abs("../../completions")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		shell  []string
		needs  string
		setup  string // of the completions in the directory $DIR
		prompt string
	}{
		{[]string{"bash", "--norc", "--noprofile"}, bashCompletion, ". " + bashCompletion + "; . $DIR/lightning.bash; PS1='%'", "%"},
		{[]string{"zsh", "-f"}, "", "fpath=($DIR $fpath); autoload -U compinit; compinit -u -D; PROMPT='%%'", "%"},
		{[]string{"fish", "--no-config"}, "", "source $DIR/lightning.fish; function fish_prompt; echo -n '%'; end", "%"},
	} {
		t.Run(test.shell[0], func(t *testing.T) {
			for _, name := range []string{test.shell[0], test.needs} {
				if _, err := exec.LookPath(name); name != "" && err != nil {
					if _, err := os.Stat(name); err != nil {
						t.Skip("no " + name)
					}
				}
			}
			dir := t.TempDir()
			// A shell that is killed may still write to its home.
			home, err := os.MkdirTemp("", "home")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(home) })
			db := filepath.Join(dir, "my.db")
			touched := filepath.Join(dir, "touched")
			for _, key := range []string{"user:1:name", "user:2:name", "$(touch " + touched + ")", "`touch " + touched + "`", "uz;touch " + touched} {
				if out, err := exec.Command("lightning", "put", db, key, "x").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			s := openProgram(t, 100, []string{"HOME=" + home, "HISTFILE=/dev/null", "DIR=" + completions, "LIGHTNING_DB=" + db}, test.shell...)
			s.typed(test.setup, "Enter")
			s.typed("clear", "Enter")
			s.until(test.prompt + "$")
			s.typed("lightning get @ u", "Tab")
			s.until(test.prompt + "lightning get @ user:")
			s.typed("2", "Tab")
			s.until(test.prompt + "lightning get @ user:2:name")
			s.typed("Enter")
			s.until("x\n" + test.prompt + "$")
			s.typed("lightning get @ ", "Tab")
			s.until("x\n" + test.prompt + "lightning get @ user:")
			s.typed("3", "Enter") // there is none
			s.until("not found: user:3\n" + test.prompt + "$")
			s.typed("lightning scan @ -o json", "Tab", "Tab")
			s.until("jsonl")
			if _, err := os.Stat(touched); err == nil {
				t.Error("a key was run")
			}
		})
	}
}

// What flags may be is read from their usage: here is what is made of it.
func TestCompletion_Choices(t *testing.T) {
	found := map[string]string{}
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.InheritedFlags()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			list := choices(usage)
			if list == nil || f.NoOptDefVal != "" {
				return
			}
			if !slices.Contains(list, f.DefValue) && f.DefValue != "" {
				t.Errorf("%s --%s: %q is not of %q", cmd.CommandPath(), f.Name, f.DefValue, list)
			}
			found[cmd.Name()+" "+f.Name] = strings.Join(list, " ")
		})
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newApp(t.Context(), &ui.Streams{Out: io.Discard, Err: io.Discard}).root())
	for name, want := range map[string]string{
		"get output":         "table text json jsonl csv tsv line raw null db_dump sql md",
		"get color":          "auto always never",
		"get newline":        "auto always never",
		"import from":        "csv tsv json jsonl db_dump pairs resp bbolt",
		"import on-conflict": "replace skip error",
		"import progress":    "auto json none",
		"export to":          "csv tsv json jsonl db_dump pairs sql",
		"bench compression":  "none s2 zstd",
		"put sync":           "full normal off",
		"stress workload":    "kv bank list-append",
		"crashtest mode":     "sim kill syscall power",
		"scan from":          "",
		"verify sample":      "",
		"export where":       "",
		"get timeout":        "",
		"crashtest fs":       "",
	} {
		if found[name] != want {
			t.Errorf("%s: have %q, want %q", name, found[name], want)
		}
	}
}
