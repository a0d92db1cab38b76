package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	exporter "github.com/lightning-db/lightning/export"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

const batchLong = `Run statements, one a line, in one transaction: all of them take effect, or
none. The database is created where there is none. FILE may be compressed; -
or nothing is standard input.

    put KEY VALUE         the value is the rest of the line
    delete KEY...         also: delete --prefix P
    get KEY...            see what the lines before have done
    scan [PREFIX]
    count [PREFIX]
    expect KEY VALUE      give up, with status 9, if the value is another
    expect KEY            likewise, if the key has one
    if KEY VALUE          run the lines up to else or end only if the value is
                          this one, and those from else to end only if not
    if KEY                likewise, if the key has none
    keyspace NAME         what the lines below are about

Lines of JSON are those of a patch (lightning diff -o jsonl): {"op":"delete",
"key":"a"}, {"op":"put","key":"a","value":"1"}, with a "keyspace" if you like,
which is made where there is none. An empty line, and one that begins with #,
is none. Anywhere, "a\x00b", x'610062' and u64(42)
stand for bytes; other words are read as -K and -V say. These are no statements
of the shell: single quotes do not quote; a ; at the end of a line is part of the
value; a statement ends with its line; and there are no flags but --prefix, and no
clauses. What looks like one is refused without quotes, as is a word that begins
with a single quote, unless -K or -V says how it is read: a key that begins with
--, or is - and a letter; a value that begins with -- and a letter, or has
--if-absent or --if-equal in it; and where, select, limit and reverse among several
words behind scan, count or delete.

Everything is read before anything is done: a line that is not understood is
named, and nothing is written. A get of a key that is not there makes the exit
status 1; what the others did is committed.`

func batchCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "batch DB [FILE | -]",
		GroupID: groupData,
		Short:   "Run statements in one transaction",
		Long:    batchLong,
		Example: `  printf 'put a 1\nput b 2\ndelete c\n' | lightning batch my.db
  lightning diff -o jsonl my.db other.db | lightning batch my.db
  lightning batch my.db statements.txt -o jsonl`,
		Args: arguments(1, 2),
	}
	syncMode := syncFlag(cmd, engine.SyncFull)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		mode, err := syncMode()
		if err != nil {
			return err
		}
		b := &batch{app: a, path: "-"}
		form, err := textOrJSON(a)
		if err != nil {
			return err
		}
		if a.keys.Lossy() || a.values.Lossy() {
			return usagef("-K and -V are for what is read, too: choose encodings that lose nothing (help encodings)")
		}
		if form == formatText {
			if b.printer, err = a.entryWriter(form, columns{true, true}); err != nil {
				return err
			}
		}
		if len(args) > 1 {
			b.path = args[1]
		}
		if err := b.check(); err != nil {
			return err
		}
		return a.write(cmd, args[0], true, mode, func(db *engine.DB, ks *engine.Keyspace) error {
			return b.commit(db, ks)
		})
	}
	return cmd
}

// A batch runs statements. First all are read without a transaction, which
// tells what is wrong with them; and then once more.
type batch struct {
	app     *app
	path    string
	printer dump.Writer // of text; nil for JSON lines
	printed bool        // one of those
	patched []string    // keyspaces that lines of a patch name
	text    bytes.Buffer

	db                    *engine.DB
	base                  *engine.Tx // in the keyspace of -k; nil at first
	tx                    *engine.Tx // in that of the words below
	line                  int64
	branch                string // if or else, where the lines are in one
	began                 int64  // the line of its if
	skips                 bool   // and are not to be run
	op                    string
	puts, deletes, missed int64
	ranges                int64        // deletes of a prefix
	stdout                io.Writer    // from the first write on
	held                  bytes.Buffer // what is for it, until that is committed
}

// check reads all statements and keeps their text.
func (b *batch) check() error {
	if b.path == "-" && b.app.InTerminal {
		return usagef("no statements: name a file, or give them through a pipe")
	}
	source, f, err := b.app.input(b.app.ctx, b.path)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, err := dump.Decompress(source, b.path)
	if err != nil {
		return b.atFault(err)
	}
	defer plain.Close()
	return b.all(plain)
}

// commit runs all statements.
func (b *batch) commit(db *engine.DB, ks *engine.Keyspace) error {
	made := b.patched[:0]
	for _, name := range b.patched {
		if _, err := db.Keyspace(name); err == nil || b.app.noCreate {
			continue
		}
		if _, err := db.CreateKeyspace(name, nil); err != nil {
			return err
		}
		made = append(made, name)
	}
	tx, err := db.Begin(engine.TxOptions{})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	b.db, b.base = db, tx.In(ks)
	b.tx = b.base
	if err := b.all(&b.text); err != nil { // which says that nothing was written
		tx.Rollback()
		for _, name := range made {
			_ = db.DropKeyspace(name) // one without entries is as none
		}
		return err
	}
	if err := tx.Commit(b.app.ctx); err != nil {
		return err
	}
	said := ui.Plural(b.puts, "put") + ", " + ui.Plural(b.deletes, "delete")
	if b.ranges > 0 { // of however many keys: nobody has counted them
		said += ", " + ui.Plural(b.ranges, "delete") + " by prefix"
	}
	b.app.Note("committed: %s", said)
	if b.printer == nil && !b.printed { // no statement has said what it did
		if err := b.app.printJSON(ui.Object{{Name: "puts", Value: 0}, {Name: "deletes", Value: 0}}); err != nil {
			return err
		}
	}
	if err := b.release(); err != nil {
		return err
	}
	if b.missed > 0 {
		return saidError{exitNo}
	}
	return nil
}

// hold keeps back what is printed from the first write on: not before that is
// committed is it true.
func (b *batch) hold() error {
	if b.stdout != nil {
		return nil
	}
	err := b.app.out.Flush()
	b.stdout, b.app.to.w = b.app.to.w, &b.held
	return err
}

func (b *batch) release() error {
	if b.stdout == nil {
		return nil
	}
	_ = b.app.out.Flush() // into memory
	b.app.to.w = b.stdout
	_, err := b.held.WriteTo(b.app.out)
	return err
}

func (b *batch) all(text io.Reader) error {
	lines, err := dump.NewReader(text, dump.Statements, dump.ReaderOptions{})
	for b.line = 1; err == nil; {
		var r *dump.Record
		if r, err = lines.Read(); err != nil {
			break
		}
		if b.base == nil {
			for ; b.line < r.Line; b.line++ {
				b.text.WriteByte('\n') // lines keep their numbers
			}
			b.text.Write(r.Source)
		}
		b.line = r.Line
		if r.Source[0] == '{' {
			err = b.patch(r)
		} else {
			err = b.words(r.Source)
		}
		if err == nil {
			err = b.app.ctx.Err()
		}
		if err != nil && b.base == nil {
			err = r.Bad(err)
		} else if err != nil {
			err = fmt.Errorf("line %d: %w", r.Line, err)
		}
	}
	if err == io.EOF && b.branch == "" {
		return nil
	}
	if err == io.EOF {
		err = fmt.Errorf("line %d: %w: the if has no end", b.began, errData)
	}
	return b.atFault(err)
}

func (b *batch) atFault(err error) error {
	return fmt.Errorf("%s: %w; nothing was written", inputName(b.path), err)
}

// words runs a statement of words.
func (b *batch) words(text []byte) error {
	verb, rest, err := dump.Word(text, dump.Raw, false)
	if err != nil {
		return err
	}
	op := string(verb)
	switch op {
	case "set":
		op = "put"
	case "del", "rm":
		op = "delete"
	}
	var key, value []byte
	switch op {
	case "keyspace":
		if key, _, err = dump.Word(rest, dump.Auto, true); err != nil || b.skips {
			return err
		}
		b.tx, err = b.space(string(key))
		return err
	case "else", "end":
		if b.branch == "" || b.branch == op {
			return fmt.Errorf("%s without an if above it", op)
		}
		if len(bytes.TrimSpace(rest)) > 0 {
			return fmt.Errorf("%s: nothing may follow it on its line", op)
		}
		if b.branch, b.skips = op, op == "else" && b.tx != nil && !b.skips; op == "end" {
			b.branch = ""
		}
		return nil
	case "scan", "count":
		if len(rest) > 0 {
			key, _, err = b.key(rest, true, false)
		}
	case "put", "expect", "if":
		key, rest, err = b.key(rest, false, false)
		if err == nil && (op == "put" || len(rest) > 0) {
			value, err = b.value(rest)
		}
	case "get", "delete":
		rest = bytes.TrimSpace(rest)
		prefix, ok := bytes.CutPrefix(rest, []byte("--prefix"))
		if op == "delete" && ok && (len(prefix) == 0 || prefix[0] <= ' ') {
			op = "delete --prefix"
			if key, _, err = b.key(prefix, true, false); len(key) == 0 && err == nil {
				err = errors.New("every key begins with an empty prefix")
			}
			break
		}
		several := op == "delete" && wordEnd(rest) < len(rest)
		for {
			if key, rest, err = b.key(rest, false, several); err != nil || len(rest) == 0 {
				break
			}
			if err := b.do(b.tx, op, key, nil); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("no statement %s: use put, delete, get, scan, count, expect, if, keyspace", dump.Printable(verb))
	}
	if err == nil && op == "if" {
		return b.choose(key, value)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return b.do(b.tx, op, key, value)
}

// key takes a key off a statement, or with whole all that is left of it as one; of
// several words one may look like a clause. What looks like that or a flag is refused,
// for nobody means a key --prefix, or a prefix "user: limit 5".
func (b *batch) key(text []byte, whole, several bool) (key, rest []byte, err error) {
	text = bytes.TrimSpace(text)
	if b.base == nil && b.app.keys == dump.Auto && len(text) > 0 && text[0] != '"' {
		words := text
		if !whole {
			words = text[:wordEnd(text)]
		}
		for at := 0; at < len(words); at++ {
			w := words[at : at+wordEnd(words[at:])]
			at += len(w)
			switch {
			case bytes.HasPrefix(w, []byte("--")), len(w) == 2 && w[0] == '-' && isLetter(w[1]):
				return nil, nil, notInBatch("flag", w, words)
			case (several || len(w) < len(words)) && shell.In(string(w), shell.Clauses):
				return nil, nil, notInBatch("clause", w, words)
			}
		}
	}
	return dump.Word(text, b.app.keys, whole)
}

// value takes all that is left of a statement as a value, and refuses one that begins
// as a flag does, or has a flag of put in it: what is to be absent had been replaced.
func (b *batch) value(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	if b.base == nil && b.app.values == dump.Auto && len(text) > 2 && text[0] != '"' {
		begins := string(text[:2]) == "--" && isLetter(text[2])
		flag := text
		if !begins {
			flag = text[bytes.Index(text, []byte(" --if-"))+1:]
		}
		flag = flag[:wordEnd(flag)]
		name, _, _ := bytes.Cut(flag, []byte("="))
		if begins || len(name) < len(" --if-absent") && shell.In(string(name), " --if-absent --if-equal") {
			return nil, notInBatch("flag", name, text)
		}
	}
	value, _, err := dump.Word(text, b.app.values, true)
	return value, err
}

// notInBatch is the error of a word that looks like what the command line or the
// shell has: it says how all that it stands in is written as data.
func notInBatch(kind string, word, all []byte) error {
	const shown = 64
	quoted := ""
	if len(all) < shown {
		quoted = ": " + string(dump.Quoted.Append(nil, all))
	}
	return fmt.Errorf("in a batch it has no %s %s; as data that is written in quotes%s", kind, dump.Printable(word), quoted)
}

// wordEnd is the length of the word that b begins with.
func wordEnd(b []byte) int {
	for i, c := range b {
		if c == ' ' || c == '\t' {
			return i
		}
	}
	return len(b)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// choose begins the lines that are run only if the key has this value, or none
// where value is nil.
func (b *batch) choose(key, value []byte) error {
	if b.branch != "" {
		return errors.New("an if inside another: end that one first")
	}
	b.branch, b.began = "if", b.line
	if err := checkKey(key); err != nil || b.tx == nil {
		return err
	}
	met, err := holds(b.tx, key, value)
	b.skips = !met
	return err
}

// holds reports whether a key has this value, or none where value is nil.
func holds(tx *engine.Tx, key, value []byte) (bool, error) {
	found, err := tx.Get(key)
	if errors.Is(err, engine.ErrNotFound) {
		return value == nil, nil
	}
	return err == nil && value != nil && bytes.Equal(found, value), err
}

// patchMembers are those of a line of a patch.
var patchMembers = [...]string{
	"op", "keyspace",
	"key", "key_base64", "key_hex", "key_quoted", "key_u64",
	"value", "value_base64", "value_hex", "value_quoted", "value_u64",
}

// patch runs a line of a patch.
func (b *batch) patch(r *dump.Record) error {
	if name, ok := r.Other(patchMembers[:]); ok {
		return fmt.Errorf("a line of a patch has no member %s: use op, keyspace, key, value", dump.Printable(name))
	}
	op, err := r.Field("op")
	if err != nil {
		return err
	}
	key, err := r.Key()
	if err != nil {
		return err
	}
	value, ok, err := r.Value()
	if err != nil {
		return err
	}
	if string(op) != "delete" && (string(op) != "put" || !ok) {
		return errors.New("a line of a patch has the op delete, or the op put and a value")
	}
	tx := b.base
	if _, ok := r.Find("keyspace"); ok {
		name, err := r.Field("keyspace")
		if err == nil && b.tx == nil && !slices.Contains(b.patched, string(name)) {
			b.patched = append(b.patched, string(name))
		}
		if err == nil {
			tx, err = b.space(string(name))
		}
		if err != nil {
			return err
		}
	}
	return b.do(tx, string(op), key, value)
}

// space returns the transaction in a keyspace, nil where there is none.
func (b *batch) space(name string) (*engine.Tx, error) {
	if name != "" && !goodName(name) {
		return nil, errName
	}
	if b.tx == nil {
		return nil, nil
	}
	ks, err := b.db.Keyspace(name)
	if err != nil {
		return nil, err
	}
	return b.tx.In(ks), nil
}

// do runs a statement; without a transaction it looks at the key only.
func (b *batch) do(tx *engine.Tx, op string, key, value []byte) error {
	b.op = op
	if err := checkKey(key); err != nil || tx == nil || b.skips {
		return err
	}
	var err error
	if op == "put" || strings.HasPrefix(op, "delete") {
		if err := b.hold(); err != nil {
			return err
		}
	}
	switch op {
	case "put":
		b.puts++
		err = tx.Put(key, value)
	case "delete":
		b.deletes++
		err = tx.Delete(key)
	case "delete --prefix":
		b.ranges++
		err = tx.DeleteRange(key, query.PrefixEnd(key))
	case "scan":
		_, err := exporter.Run(b.app.ctx, tx, b, exporter.Options{Start: key, End: query.PrefixEnd(key)})
		return err
	case "count":
		n, err := countKeys(b.app.ctx, tx, key, query.PrefixEnd(key))
		if err == nil {
			form := "%d\n"
			if b.printed = true; b.printer == nil {
				form = `{"line":` + fmt.Sprint(b.line) + `,"op":"count","count":%d}` + "\n"
			}
			_, err = fmt.Fprintf(b.app.out, form, n)
		}
		return err
	case "expect":
		met, holdsErr := holds(tx, key, value)
		if err = holdsErr; err == nil && !met {
			form := "%w: the value of key %s is not what was expected"
			if value == nil {
				form = "%w: key %s has a value"
			}
			err = fmt.Errorf(form, engine.ErrConflict, dump.Printable(key))
		}
	case "get":
		found, getErr := tx.Get(key)
		switch {
		case getErr == nil:
			return b.Write(key, found)
		case !errors.Is(getErr, engine.ErrNotFound):
			return getErr
		}
		b.missed++
		if b.printer != nil {
			b.app.complain(exitNo, fmt.Sprintf("line %d: key not found: %s", b.line, dump.Printable(key)))
		}
	}
	if err == nil && b.printer == nil {
		err = b.Write(key, nil)
	}
	return err
}

// Write prints what a statement has found, or, where there is no value, that it
// was run.
func (b *batch) Write(key, value []byte) error {
	if b.printer != nil {
		return b.printer.Write(key, value)
	}
	b.printed = true
	o := dump.WriterOptions{Keys: b.app.keys, Values: b.app.values}
	if value == nil {
		o.Values = dump.None
	}
	_, err := fmt.Fprintf(b.app.out, `{"line":%d,"op":"%s",%s`+"\n", b.line, b.op, dump.AppendEntry(nil, key, value, o)[1:])
	return err
}

// Close is there for a dump.Writer.
func (b *batch) Close() error { return nil }
