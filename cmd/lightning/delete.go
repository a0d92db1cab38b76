package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func deleteCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete DB [KEY...]",
		Aliases: []string{"del", "rm"},
		GroupID: groupData,
		Short:   "Delete keys",
		Long: `Delete one key, several, all in a range, or those of the entries that an
expression is true of, in one transaction.

A key that is not there is no error: the exit status is 0, and of several keys
it says how many that were. Deleting more than one key asks on a terminal, and
needs --yes in a pipe; a range may hold more than one.

What lightning scan --keys -K quoted prints --keys-from reads with -K quoted;
with -0 on both sides keys are as they are.`,
		Example: `  lightning delete my.db user:1
  lightning delete my.db --prefix session: --dry-run
  lightning delete my.db --from log:2024 --to log:2025 --yes
  lightning delete my.db --where '.expired == true' --dry-run
  lightning scan my.db --prefix tmp: --keys -0 | lightning delete my.db --keys-from - -0 --yes`,
		Args: arguments(1, -1),
	}
	d := &deletion{app: a, cmd: cmd, keyRange: rangeFlags(cmd, "from", "to"), where: a.whereFlags(cmd)}
	f := cmd.Flags()
	f.StringVar(&d.keysFrom, "keys-from", "", "delete the keys in this `FILE`, one a line; - is standard input")
	f.BoolVarP(&d.nul, "null", "0", false, "with --keys-from: each key is ended by a NUL")
	f.BoolVarP(&d.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&d.dryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return d.run(cmd.Context(), args) }
	return cmd
}

type deletion struct {
	app          *app
	cmd          *cobra.Command
	keyRange     *keyRange
	where        *where
	keysFrom     string
	nul          bool
	yes, dryRun  bool
	targets      [][]byte // keys, unless it is a range
	ranged       bool
	start, limit []byte
}

func (d *deletion) run(ctx context.Context, args []string) error {
	if err := d.choose(ctx, args[1:]); err != nil {
		return err
	}
	if _, err := textOrJSON(d.app); err != nil {
		return err
	}
	if d.dryRun {
		return d.app.snapshot(args[0], d.tell)
	}
	if err := d.app.session.of(args[0]).mayWrite(d.cmd); err != nil {
		return err
	}
	if d.ranged || len(d.targets) > 1 {
		if err := d.ask(ctx, args[0]); err != nil {
			return err
		}
		d.where.began = time.Now() // who was asked took the time before
	}
	var n int64
	err := d.app.update(d.cmd, args[0], false, engine.SyncFull, func(tx *engine.Tx) (err error) {
		n, err = d.delete(tx)
		return err
	})
	if err != nil || !d.ranged && len(d.targets) == 1 && !d.app.asksJSON() {
		return stopped(err, "nothing was deleted")
	}
	text := "deleted " + ui.Plural(n, "key")
	if err := d.where.report(n, "match"); err != nil {
		return err
	}
	missing := max(0, int64(len(d.targets))-n)
	if missing > 0 {
		text += ", " + ui.Count(missing) + " not there"
	}
	return d.app.done(ui.Object{
		{Name: "deleted", Value: n},
		{Name: "missing", Value: missing},
	}, "%s", text)
}

// choose reads what is to be deleted.
func (d *deletion) choose(ctx context.Context, args []string) (err error) {
	d.ranged = d.keyRange.given() || d.where.given()
	ways := 0
	for _, way := range []bool{len(args) > 0, d.ranged, d.keysFrom != ""} {
		if way {
			ways++
		}
	}
	switch {
	case ways == 0:
		return usagef("say what to delete: keys, a range (--prefix, --from, --to), --where EXPR, or --keys-from FILE")
	case d.nul && d.keysFrom == "":
		return usagef("--null goes only with --keys-from")
	case ways > 1:
		return usagef("keys, a range (--prefix, --from, --to) or --where, --keys-from FILE: choose one")
	case d.keyRange.changed("prefix") && d.keyRange.text("prefix") == "":
		return usagef("every key begins with an empty --prefix: to delete all say --from ''")
	}
	if d.start, d.limit, err = d.keyRange.bounds(d.app, false); err == nil {
		d.start, d.limit, err = d.where.prepare(d.start, d.limit, false)
	}
	if d.ranged || err != nil {
		return err
	}
	if d.keysFrom != "" {
		d.targets, err = d.app.readKeys(ctx, d.keysFrom, d.nul)
		return err
	}
	for _, arg := range args {
		key, err := d.app.key(arg)
		if err != nil {
			return err
		}
		d.targets = append(d.targets, key)
	}
	return nil
}

// ask has the user confirm that more than one key goes.
func (d *deletion) ask(ctx context.Context, db string) error {
	if d.yes {
		return nil
	}
	needed := usagef("deleting more than one key needs --yes where nobody can be asked")
	if !d.app.InTerminal || !d.app.ErrTerminal {
		return needed
	}
	var found found
	err := d.app.snapshot(db, func(s engine.Reader) (err error) {
		found, err = d.count(s)
		return err
	})
	if err != nil || found.keys == 0 {
		return err
	}
	if err := d.where.report(found.keys, "match"); err != nil {
		return err
	}
	ok, err := d.app.Confirm(ctx, fmt.Sprintf("Delete %s?", found))
	if errors.Is(err, ui.ErrNoAnswer) {
		return needed
	}
	if err == nil && !ok {
		err = noError{"nothing was deleted"}
	}
	return err
}

func (d *deletion) tell(s engine.Reader) error {
	found, err := d.count(s)
	if err != nil {
		return err
	}
	if d.app.asksJSON() {
		o := ui.Object{
			{Name: "keys", Value: found.keys},
			{Name: "bytes", Value: found.bytes},
		}
		if found.keys > 0 {
			o = appendKey(appendKey(o, "first", found.first), "last", found.last)
		}
		err = d.app.printJSON(o)
	} else {
		_, err = fmt.Fprintf(d.app.out, "would delete %s\n", found)
	}
	if err != nil {
		return err
	}
	return d.where.report(found.keys, "match")
}

// found describes the keys that are there of those to be deleted.
type found struct {
	keys, bytes int64
	first, last []byte
}

func (f found) String() string {
	s := fmt.Sprintf("%s (%s)", ui.Plural(f.keys, "key"), ui.Bytes(f.bytes))
	if f.keys > 0 {
		s += fmt.Sprintf(", %s … %s", dump.Printable(f.first), dump.Printable(f.last))
	}
	return s
}

func (f *found) add(key, value []byte) {
	if f.keys++; f.keys == 1 {
		f.first = append([]byte{}, key...)
	}
	f.last = append(f.last[:0], key...)
	f.bytes += int64(len(key) + len(value))
}

func (d *deletion) count(r engine.Reader) (f found, err error) {
	if d.ranged {
		_, err = d.where.each(r, d.start, d.limit, true, func(it *engine.Iterator, value []byte) error {
			f.add(it.Key(), value)
			return nil
		})
		return f, err
	}
	for _, key := range d.targets {
		value, err := r.Get(key)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		}
		if err != nil {
			return f, err
		}
		f.add(key, value)
	}
	return f, nil
}

// delete deletes and returns how many keys there were.
func (d *deletion) delete(tx *engine.Tx) (int64, error) {
	if d.where.filter != nil {
		return d.where.deleteMatching(tx, d.start, d.limit)
	}
	if d.ranged {
		n, err := countKeys(d.cmd.Context(), tx, d.start, d.limit)
		if err != nil || n == 0 {
			return 0, err
		}
		return n, tx.DeleteRange(d.start, d.limit)
	}
	var n int64
	for _, key := range d.targets {
		ok, err := tx.Has(key)
		if err != nil {
			return n, err
		}
		if !ok {
			continue
		}
		n++
		if err := tx.Delete(key); err != nil {
			return n, err
		}
	}
	return n, nil
}
