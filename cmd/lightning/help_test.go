package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/ui"
)

// everyCommand calls fn with the commands that help lists, and their paths without lightning.
func everyCommand(t *testing.T, fn func(cmd *cobra.Command, path string)) {
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		if !cmd.Hidden && cmd.Runnable() {
			fn(cmd, strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "lightning"), " "))
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(newApp(t.Context(), &ui.Streams{Out: io.Discard, Err: io.Discard}).root())
}

// helpText runs a command with --help.
func helpText(t *testing.T, path string) string {
	t.Helper()
	status, out, message := runHere(t.Context(), nil, append(strings.Fields(path), "--help")...)
	if status != 0 || message != "" {
		t.Errorf("%s --help: status %d, %q", path, status, message)
	}
	return out
}

// TestHelp_ExamplesFirst: help says in its first line what a command does, and shows
// examples on the first screen, before the long text.
func TestHelp_ExamplesFirst(t *testing.T) {
	everyCommand(t, func(cmd *cobra.Command, path string) {
		out := helpText(t, path)
		lines := strings.Split(out, "\n")
		if lines[0] != cmd.Short {
			t.Errorf("%s --help begins with %q, want %q", path, lines[0], cmd.Short)
		}
		if at := slices.Index(lines, "Examples:"); at < 0 || at >= 12 {
			t.Errorf("%s --help: examples at line %d", path, at+1)
		}
		example, long, flags := strings.Index(out, cmd.Example), strings.Index(out, cmd.Long), strings.Index(out, "\nFlags:")
		if example < 0 || long < 0 || cmd.Long != "" && example > long || flags < max(example, long) {
			t.Errorf("%s --help: examples at byte %d, the long text at %d, flags at %d", path, example, long, flags)
		}
	})
}

// argumentsFor are those of each command with which it can be run, where DB is a database.
var argumentsFor = map[string]string{
	"": "", "get": "DB key:0000", "put": "DB a b", "delete": "DB nosuch", "scan": "DB", "count": "DB", "batch": "DB", "shell": "DB",
	"import": "DB --from csv --dry-run", "export": "DB -", "copy": "DB DB-copy",
	"verify": "DB", "repair": "DB DB-repaired", "checkpoint": "DB", "backup": "DB DB-backup", "restore": "DB-backup DB-restored", "compact": "DB",
	"diff": "DB DB", "hash": "DB", "upgrade": "DB",
	"stats": "DB", "health": "DB", "du": "DB", "top": "DB", "keyspace": "", "keyspace list": "DB", "keyspace create": "DB new", "keyspace drop": "DB new --yes",
	"inspect": "", "inspect meta": "DB", "inspect node": "DB 8192", "inspect tree": "DB", "inspect wal": "DB", "inspect key": "DB key:0000",
	"bench": "nosuch", "stress": "", "crashtest": "", "version": "",
	"completion": "", "completion bash": "", "completion zsh": "", "completion fish": "", "completion powershell": "", "help": "",
}

// lineOf is the line of a command, with arguments.
func lineOf(t *testing.T, path, db string) []string {
	t.Helper()
	arguments, ok := argumentsFor[path]
	if !ok {
		t.Errorf("no arguments for %s", path)
	}
	return strings.Fields(path + " " + strings.ReplaceAll(arguments, "DB", db))
}

// TestHelp_ListsFlags: of the flags that all commands have, help lists those that a
// command takes, and each other is refused.
func TestHelp_ListsFlags(t *testing.T) {
	db := database(t, 1)
	everyCommand(t, func(cmd *cobra.Command, path string) {
		if path == "" {
			return
		}
		out := helpText(t, path)
		for _, flag := range []string{"--keyspace=x", "--output=nosuch", "--keys=hex", "--values=hex", "--no-create", "--timeout=1s", "--quiet", "--json"} {
			name, _, _ := strings.Cut(flag, "=")
			listed := regexp.MustCompile(`(?m)^ +(-\w, )?` + name + `\b`).MatchString(out)
			line := append(lineOf(t, path, db), flag)
			switch {
			case listed && flag == "--json":
				continue
			case takes(cmd, "output"): // and no command goes on to its work
				line = append(line, "--output=nosuch")
			}
			status, _, message := runHere(t.Context(), nil, line...)
			if refused := strings.Contains(message, "takes no "+name); refused == listed || refused && status != 2 {
				t.Errorf("%s %s: listed %t, status %d, %q", path, flag, listed, status, message)
			}
		}
	})
}

// TestHelp_ListsFormats: what the help of a command says of --output is what the
// command takes, with the flags that the help names, too.
func TestHelp_ListsFormats(t *testing.T) {
	db := database(t, 1)
	check := func(line []string, listed string) {
		t.Helper()
		status, _, message := runHere(t.Context(), nil, append(line, "-o", "nosuch")...)
		_, taken, ok := strings.Cut(strings.TrimSpace(message), `: use `)
		if status != 2 || !ok || taken != listed {
			t.Errorf("%v -o nosuch: status %d, %q; help lists %q", line, status, message, listed)
		}
		if slices.Contains([]string{"bench", "stress", "crashtest"}, line[0]) {
			return // that would measure
		}
		for form := range strings.SplitSeq(listed, ", ") {
			if status, _, message := runHere(t.Context(), nil, append(line, "-o", form)...); status == 2 && strings.Contains(message, "format") {
				t.Errorf("%v -o %s: %s", line, form, message)
			}
		}
	}
	usage := regexp.MustCompile(`--output FORMAT +output FORMAT: ([^(]+) \((.*)help formats\)`)
	n := 0
	everyCommand(t, func(cmd *cobra.Command, path string) {
		found := usage.FindStringSubmatch(helpText(t, path))
		if path == "" || cmd.HasSubCommands() || found == nil {
			return
		}
		n++
		check(lineOf(t, path, db), found[1])
		for with := range strings.SplitSeq(strings.TrimSuffix(found[2], "; "), "; ") {
			flags, listed, _ := strings.Cut(strings.TrimPrefix(with, "with "), ": ")
			if with == "" {
				continue
			}
			for flag := range strings.SplitSeq(flags, " or ") {
				value := map[string]string{"--select": "=.", "--count-by": "=.", "--watch": "=1ms"}[flag]
				line := append(lineOf(t, path, db), flag+value)
				if flag == "--watch" {
					line = append(line, "--limit=1")
				}
				check(line, listed)
			}
		}
	})
	if n < 30 {
		t.Errorf("%d commands have formats", n)
	}
}

// Those who write an alias in capitals are told the command that it stands for.
func TestUnknownCommand_KnowsAliases(t *testing.T) {
	everyCommand(t, func(cmd *cobra.Command, _ string) {
		for _, alias := range cmd.Aliases {
			said := unknownCommand(cmd.Parent(), strings.ToUpper(alias), "", "lightning").Error()
			if want := "did you mean: lightning " + cmd.Name(); !strings.HasSuffix(said, want) {
				t.Errorf("%q does not end with %q", said, want)
			}
		}
	})
}
