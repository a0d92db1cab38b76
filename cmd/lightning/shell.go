package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

func shellCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "shell DB",
		GroupID: groupShell,
		Short:   "Work with a database, statement by statement",
		Long: `Work with a database, statement by statement. Statements are the commands of
lightning without the name of the database, settings begin with a dot (help
lists both), and a transaction is begin ... commit, or rollback. Writes are off
until .write on.

Keys and values may be quoted: "a\x00b", 'as it is', x'00ff', u64(42). A number
before a statement repeats it. scan takes a prefix, and the words where, select,
limit and reverse.

Tab completes commands, flags, settings, topics of help, keyspaces, keys in the
data, clauses, and in them functions and the fields of the values; Ctrl-R searches
what was typed before; Ctrl-C stops what runs or clears the line; Ctrl-D leaves.
What may follow is shown in grey behind the cursor. The history is in
$XDG_STATE_HOME/lightning/history; a line that begins with a space is kept out of
it.

Without a terminal, and with -c and -f, there is no prompt, the first statement
that fails ends the shell (--bail=false goes on), and its exit status is the
shell's. Several -c and -f run one after the other, as they are given. What loads
many entries is for lightning batch or import, which take a fortieth of the time
of statements.`,
		Example: `  lightning shell my.db
  lightning shell my.db --write
  lightning shell my.db -c 'count; get user:1'
  lightning shell my.db --write -f changes.txt
  echo 'scan user: -o jsonl' | lightning shell my.db`,
		Args: arguments(1, 1),
	}
	f := cmd.Flags()
	write := f.Bool("write", false, "allow writes from the start; the database is created where there is none")
	var steps []step // of -c and -f, as they are given
	f.FuncP("command", "c", "run these `STATEMENTS`, separated by ;, and end; may be repeated", func(text string) error {
		steps = append(steps, step{text: text})
		return nil
	})
	f.FuncP("file", "f", "run the statements of a `FILE`, - for standard input, and end; may be repeated", func(path string) error {
		steps = append(steps, step{path, true})
		return nil
	})
	first := f.String("init", "", "run the statements of a `FILE` first")
	bail := f.Bool("bail", false, "end with the first statement that fails; the default unless somebody types")
	syncMode := syncFlag(cmd, engine.SyncFull)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		h := &session{app: a, cmd: cmd, arg: args[0]}
		scripted, taken := len(steps) > 0, false
		for _, s := range steps {
			taken = taken || s.file && s.text == "-"
			if err := notCompressed(s, cmd, args[0], false); err != nil {
				return err
			}
		}
		if err := notCompressed(step{*first, true}, cmd, args[0], true); err != nil {
			return err
		}
		var err error
		if h.sync, err = syncMode(); err != nil {
			return err
		}
		s := &shell.Session{Streams: a.Streams, Host: h, Interactive: !scripted && a.InTerminal && a.ErrTerminal, Taken: !scripted && !a.InTerminal || taken}
		s.Start()
		h.shell = s
		mode := a.output
		if mode == "" && a.OutTerminal {
			mode = a.onTerminal
		}
		for _, flag := range [...][2]string{{"mode", mode}, {"keys", a.keysFlag}, {"values", a.valuesFlag}, {"keyspace", a.keyspace}} {
			if flag[1] != "" {
				s.Settings[flag[0]] = flag[1]
			}
		}
		if a.output != "" && !slices.Contains(entryFormats, a.output) {
			return usagef("--output: use %s", strings.Join(entryFormats, ", "))
		}
		s.Bail = !s.Interactive
		if f.Changed("bail") {
			s.Bail = *bail
		}
		return h.open(cmd.Context(), *write, func(ctx context.Context) (status int) {
			// A signal between two steps is what the next one fails with.
			done := func() bool { return s.Done() || status != 0 && (s.Bail || ctx.Err() != nil) }
			if f.Changed("init") {
				status = s.File(ctx, *first)
			}
			for _, step := range steps {
				if done() {
					return status
				}
				run := s.Text
				switch {
				case step.file && step.text == "-":
					run = func(ctx context.Context, _ string) int { return s.Input(ctx) }
				case step.file:
					run = s.File
				}
				status = cmp.Or(status, run(ctx, step.text))
			}
			if scripted || done() {
				return status
			}
			if next := s.Input(ctx); status == 0 || s.Interactive {
				status = next
			}
			return status
		})
	}
	return cmd
}

// A step is what one -c or -f has a shell run: statements, or a file of them.
type step struct {
	text string // or the path
	file bool
}

// notCompressed refuses a file of statements that is compressed, and says how its
// statements are run; first says that it is that of --init.
func notCompressed(s step, cmd *cobra.Command, db string, first bool) error {
	path := s.text
	if !s.file || path == "-" || !isFile(path) {
		return nil // a pipe, which is read once
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // as who runs it will say
	}
	defer f.Close()
	var head [4]byte
	n, _ := io.ReadFull(f, head[:])
	cat := "zcat"
	switch dump.CompressionIn(head[:n]) {
	case dump.Plain:
		return nil
	case dump.Zstd:
		cat = "zstdcat"
	}
	if first {
		return usagef("--init %s: it is compressed: decompress it first", path)
	}
	if cmd.Flags().Changed("write") {
		db += " --write"
	}
	return usagef("%s is compressed: %s %s | lightning shell %s", path, cat, path, db)
}

// A session is a database that the shell keeps open, and what holds from one of
// its statements to the next. It is the host of package shell: statements are the
// commands of this program, which find the database open (see open.go).
type session struct {
	app  *app // of lightning shell itself
	cmd  *cobra.Command
	arg  string // what names the database in the arguments of commands
	sync engine.SyncMode

	shell  *shell.Session
	db     *engine.DB
	tx     *engine.Tx // nil: none is open
	writes int        // statements of tx that wrote

	commands *cobra.Command // of root
}

// open opens the database, runs the session, and closes it.
func (h *session) open(ctx context.Context, write bool, run func(context.Context) int) error {
	if err := h.reopen(write); err != nil {
		return err
	}
	if _, err := h.app.keyspaceOf(h.db); err != nil {
		_ = h.app.giveUp(h.db)
		return err
	}
	s := h.shell
	if s.Interactive {
		s.Interrupted = interrupted{interruptSignal}
		typedTo.Store(s)
		s.History = baseFile("XDG_STATE_HOME", ".local/state", "history")
		h.greet()
	}
	status := run(ctx)
	typedTo.Store(nil)
	err := s.Close()
	if h.tx != nil {
		h.tx.Rollback()
		lost := "the transaction was not committed: what " + ui.Plural(h.writes, "statement") + " wrote is gone"
		switch {
		case h.writes == 0:
		case status == 0 && !s.Interactive:
			status = h.Fail(usageError{lost})
		default:
			h.app.Note("warning: %s", lost)
		}
	}
	end := h.app.closeDB
	if status != 0 && h.db.Stats().Seq == 0 { // no keyspace was made, either
		end = h.app.giveUp
	}
	if closeErr := end(h.db); err == nil {
		err = closeErr
	}
	if status != 0 {
		if err != nil {
			h.Fail(err)
		}
		return saidError{status}
	}
	return err
}

func (h *session) writable() bool { return h.is("write") == "on" }

func (h *session) greet() {
	writes := "read-only (.write on to change)"
	if h.writable() {
		writes = "writes on"
	}
	h.app.Note("lightning %s · %s · %s · %s · .help", version, h.name(), ui.Plural(h.db.Stats().Entries, "key"), writes)
}

// reopen opens the database for writing, or only for reading. The one that is
// open stays so where that fails.
func (h *session) reopen(write bool) error {
	var db *engine.DB
	var err error
	if write {
		db, err = h.app.openWriter(h.cmd, h.arg, h.db == nil, h.sync)
	} else {
		var path string
		if path, err = h.app.path(h.arg); err != nil {
			return err
		}
		db, err = engine.Open(path, &engine.Options{ReadOnly: true, MustExist: true})
		if errors.Is(err, engine.ErrNotExist) {
			err = hinted(err, "--write makes one")
		}
		err = orDamaged(path, err)
	}
	if err != nil {
		return err
	}
	old := h.db
	if h.db = db; write {
		h.shell.Settings["write"] = "on"
	}
	if old == nil {
		return nil
	}
	if err := h.app.closeDB(old); err != nil {
		return err
	}
	if !write {
		return db.Refresh() // what closing wrote
	}
	return nil
}

// of returns the session if arg is its database.
func (h *session) of(arg string) *session {
	if h == nil || arg != h.arg {
		return nil
	}
	return h
}

// use is app.use, of the database that stays open.
func (h *session) use(a *app, fn func(*engine.DB, *engine.Keyspace) error) error {
	ks, err := a.keyspaceOf(h.db)
	if err != nil {
		return err
	}
	return fn(h.db, ks)
}

// write is app.write: what is no part of a transaction does not look as if.
func (h *session) write(a *app, cmd *cobra.Command, fn func(*engine.DB, *engine.Keyspace) error) error {
	db, ks, err := h.writer(a, cmd)
	if err != nil {
		return err
	}
	return fn(db, ks)
}

// writer is the database for a command that writes to it outside of the
// transaction of the shell.
func (h *session) writer(a *app, cmd *cobra.Command) (db *engine.DB, ks *engine.Keyspace, err error) {
	if err := h.mayWriteOutside(cmd); err != nil {
		return nil, nil, err
	}
	ks, err = a.keyspaceOf(h.db)
	return h.db, ks, err
}

// update is app.update, in the transaction of the shell.
func (h *session) update(a *app, cmd *cobra.Command, fn func(*engine.Tx) error) error {
	if err := h.mayWrite(cmd); err != nil {
		return err
	}
	return h.use(a, func(_ *engine.DB, ks *engine.Keyspace) error {
		err := fn(h.tx.In(ks))
		if err == nil {
			h.writes++
		}
		return err
	})
}

// mayWrite says no where a command cannot write, also to one that asks or reads
// before it does. Outside of a shell (h is nil) that is found out later.
func (h *session) mayWrite(cmd *cobra.Command) error {
	if h == nil {
		return nil
	}
	if !h.writable() {
		return hinted(fmt.Errorf("%s: %w", h.db.Path(), engine.ErrReadOnly), "allow writes with .write on")
	}
	if f := cmd.Flags().Lookup("sync"); f != nil && f.Changed {
		return usagef("--sync is for all of a shell: lightning shell --write --sync %s", f.Value)
	}
	return nil
}

// mayWriteOutside is mayWrite of a command that is no part of a transaction.
func (h *session) mayWriteOutside(cmd *cobra.Command) error {
	err := h.mayWrite(cmd)
	if err == nil && h != nil && h.tx != nil {
		err = usagef("%s is not part of a transaction: commit or rollback first", cmd.CommandPath()[len(cmd.Root().Name())+1:])
	}
	return err
}

// transact runs begin, commit or rollback.
func (h *session) transact(ctx context.Context, word string) (err error) {
	if word == "begin" {
		if h.tx != nil {
			return usagef("a transaction is open: commit or rollback first")
		}
		h.writes = 0
		h.tx, err = h.db.Begin(engine.TxOptions{ReadOnly: !h.writable()})
		return err
	}
	tx := h.tx
	if tx == nil {
		return usagef("no transaction is open: begin one")
	}
	h.tx = nil
	if word == "rollback" {
		tx.Rollback()
		return nil
	}
	err = tx.Commit(ctx)
	if errors.Is(err, engine.ErrConflict) {
		err = hinted(err, "nothing was written: begin again")
	}
	return err
}
