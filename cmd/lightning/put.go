package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
)

func putCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "put DB KEY [VALUE | - | @FILE]",
		Aliases: []string{"set"},
		GroupID: groupData,
		Short:   "Set the value of a key",
		Long: `Set the value of a key; a value that is there is replaced. The database is
created where there is none.

VALUE is text, @FILE the content of a file, and - (or nothing, in a pipe)
standard input, byte for byte. A text that begins with @, or is a single -,
is given with -V quoted; one that begins with - comes after --, unless it is a
number at the end.

When put returns, the value is on stable storage; --sync normal returns when
the operating system has it.`,
		Example: `  lightning put my.db user:1 '{"name":"Ada"}'
  lightning put my.db logo @logo.gif
  date | lightning put my.db now
  lightning put my.db lock me --if-absent`,
		Args: arguments(2, 3),
	}
	f := cmd.Flags()
	ifAbsent := f.Bool("if-absent", false, "only where the key has no value; otherwise exit status 1")
	ifEqual := f.String("if-equal", "", "only where the value is this one; otherwise exit status 1")
	syncMode := syncFlag(cmd, engine.SyncFull)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p := put{ifAbsent: *ifAbsent}
		mode, err := syncMode()
		if err != nil {
			return err
		}
		if p.key, err = a.key(args[1]); err != nil {
			return err
		}
		if err := checkKey(p.key); err != nil {
			return err
		}
		if cmd.Flags().Changed("if-equal") {
			if p.ifEqual, err = decode(a.values, *ifEqual); err != nil {
				return usagef("--if-equal: %v", err)
			}
			p.compare = true
		}
		if p.compare && p.ifAbsent {
			return usagef("--if-absent and --if-equal: choose one")
		}
		if err := a.session.of(args[0]).mayWrite(cmd); err != nil {
			return err // before a value is typed
		}
		if p.value, err = a.valueArgument(cmd.Context(), args[2:]); err != nil {
			return err
		}
		return a.toldJSON(a.update(cmd, args[0], true, mode, p.run), "put", 1)
	}
	return cmd
}

// valueArgument reads the value of put: an argument, or standard input.
func (a *app) valueArgument(ctx context.Context, args []string) ([]byte, error) {
	if len(args) > 0 {
		return a.value(ctx, args[0])
	}
	// Nobody types a value, and /dev/null, which cron gives, is none by oversight.
	nobody := a.InTerminal
	if f, ok := a.In.(*os.File); ok {
		info, err := f.Stat()
		nobody = nobody || err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	if nobody {
		return nil, usagef("no value: give it behind the key, as @FILE, or through a pipe")
	}
	return a.standardInput(ctx)
}

type put struct {
	key, value []byte
	ifAbsent   bool
	compare    bool // ifEqual was given
	ifEqual    []byte
}

func (p put) run(tx *engine.Tx) error {
	if p.ifAbsent || p.compare {
		have, err := tx.Get(p.key)
		missing := errors.Is(err, engine.ErrNotFound)
		switch {
		case err != nil && !missing:
			return err
		case p.ifAbsent && !missing:
			return noError{fmt.Sprintf("key %s has a value already", dump.Printable(p.key))}
		case p.compare && missing:
			return noError{fmt.Sprintf("key %s has no value", dump.Printable(p.key))}
		case p.compare && string(have) != string(p.ifEqual):
			return noError{fmt.Sprintf("key %s has another value", dump.Printable(p.key))}
		}
	}
	return tx.Put(p.key, p.value)
}
