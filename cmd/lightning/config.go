package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/shell"
)

// configured are the flags that a line of the configuration file may be. None of
// them changes what is read or written: a script means the same to everybody.
const configured = " color output quiet timeout no-create"

// configure sets flags that were not given to what the configuration file says.
// Its --output is for a terminal, where a command has such a form.
func (a *app) configure(cmd *cobra.Command) error {
	path := baseFile("XDG_CONFIG_HOME", ".config", "config")
	if path == "" || a.noConfig || a.session != nil || cmd.HasSubCommands() || !takes(cmd, "timeout") {
		return nil // the shell has read it, and help, version and completion work whatever it is
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrPermission):
		return nil // there is none, not even a home, or it is another user's: sudo -u keeps HOME
	case err == nil && !info.Mode().IsRegular():
		if null, _ := os.Stat(os.DevNull); os.SameFile(info, null) {
			return nil
		}
		return usagef("%s: it is no regular file; remove it, or pass it over with --no-config", path) // a FIFO would be waited for
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return hinted(err, "make it readable, or pass it over with --no-config")
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := a.configureLine(cmd, line); err != nil {
			return usagef("%s: line %d: %v", path, number, err)
		}
	}
	return nil
}

func (a *app) configureLine(cmd *cobra.Command, line string) error {
	words := strings.Fields(strings.Replace(line, "=", " ", 1))
	name, flag := strings.CutPrefix(strings.Join(words[:min(1, len(words))], ""), "--")
	if !flag || !shell.In(name, configured) || len(words) > 2 {
		return fmt.Errorf("%s: it may be --%s", dump.Printable([]byte(line)), strings.Join(strings.Fields(configured), ", --"))
	}
	f := cmd.Root().PersistentFlags().Lookup(name)
	value := f.NoOptDefVal
	if len(words) == 2 {
		value = words[1]
	}
	switch {
	case name == "output":
		if a.onTerminal = value; !slices.Contains(entryFormats, value) {
			return fmt.Errorf("--output: use %s", strings.Join(entryFormats, ", "))
		}
	case !f.Changed:
		err := f.Value.Set(value)
		if err != nil && f.Value.Type() == "bool" {
			err = errors.New("use true or false, or leave it out")
		}
		if err == nil && name == "color" {
			err = a.SetColor(value)
		}
		if err == nil && a.timeout < 0 {
			err = errors.New("use 0 or more")
		}
		if err != nil {
			return fmt.Errorf("--%s %s: %w", name, dump.Printable([]byte(value)), err)
		}
	}
	return nil
}

// baseFile returns the path of a file of ours in one of the XDG base directories,
// or in that below the home directory which stands for it; "" if there is none.
func baseFile(variable, standard, name string) string {
	dir := os.Getenv(variable)
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, standard)
	}
	return filepath.Join(dir, "lightning", name)
}
