package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

const interruptSignal = syscall.SIGINT

// Run runs a statement as the command that it is.
func (h *session) Run(ctx context.Context, st shell.Statement, in io.Reader, out *shell.Output) int {
	a := newApp(ctx, &ui.Streams{
		In: in, Out: out.To, Err: out.Err,
		InTerminal: h.app.InTerminal, OutTerminal: out.Terminal, ErrTerminal: h.app.ErrTerminal,
	})
	a.session, a.to.w = h, out.Apart(a.to.w)
	if st.Words[0].Literal < 0 {
		a.only = st.Words[0].Text // a script has many statements, and to make all commands takes longer than a put
	}
	status := a.execute(func() error {
		if err := a.SetColor(h.app.color); err != nil {
			return err
		}
		if h.tx == nil && !h.writable() {
			if err := h.db.Refresh(); err != nil { // another process may write
				return err
			}
		}
		if word := st.Words[0].Text; shell.In(word, shell.NoCommands) {
			if len(st.Words) > 1 {
				return usagef("%s takes no arguments", word)
			}
			return h.transact(ctx, word)
		}
		root := a.root()
		a.Quiet = h.app.Quiet // its flag begins as false
		args, err := h.arguments(root, st)
		if err != nil {
			return err
		}
		root.SetArgs(beforeNumber(args))
		return root.ExecuteContext(ctx)
	})
	if a.unended {
		out.Unended()
	}
	return status
}

// find returns the command that words begin with, root if there is none, and the
// words behind it.
func find(root *cobra.Command, words []shell.Word) (*cobra.Command, []shell.Word) {
	cmd := root
next:
	for len(words) > 0 && words[0].Literal < 0 {
		for _, c := range cmd.Commands() {
			if c.Name() == words[0].Text || c.HasAlias(words[0].Text) {
				cmd, words = c, words[1:]
				continue next
			}
		}
		break
	}
	return cmd, words
}

// arguments makes the arguments of the command line out of a statement.
func (h *session) arguments(root *cobra.Command, st shell.Statement) ([]string, error) {
	cmd, words := find(root, st.Words)
	if cmd == root {
		word := dump.Printable([]byte(words[0].Text))
		if words[0].Literal >= 0 && word[0] != '"' {
			word = `"` + word + `"` // so it names no command
		}
		if words[0].Plain(root.Name()) {
			return nil, usagef("a statement has no lightning before it, and no database behind its command; see .help")
		}
		names := shell.Near(subcommands(root), words[0].Text)
		if here := elsewhere(root, words[0].Text); here != "" {
			names = []string{here}
		} else if len(names) == 0 {
			names = shell.NearSettings(words[0].Text)
		}
		if len(names) > 0 {
			return nil, usagef("unknown command %s; did you mean: %s", word, strings.Join(names, ", "))
		}
		return nil, usagef("unknown command %s; see .help", word)
	}
	args := strings.Fields(cmd.CommandPath())[1:]
	args[len(args)-1] = st.Words[len(st.Words)-len(words)-1].Text // or an alias of it
	// What a command says of its arguments, when they are too many or too few.
	root.Annotations = map[string]string{usageInShell: strings.Join(args, " ") + " " + argumentsOf(cmd)}
	if takesDatabase(cmd) {
		if takes(cmd, "keys") {
			args = append(args, "-K", h.is("keys"))
		}
		if takes(cmd, "values") {
			args = append(args, "-V", h.is("values"))
		}
		args = append(args, "--color", h.app.color, h.arg)
	} else if !usable(cmd) {
		return nil, usagef("%s is not for the shell: %s", cmd.Name(), cmd.CommandPath())
	}
	return clauses(args, cmd, st, words)
}

// takesDatabase reports whether the first argument of a command is a database
// that is there.
func takesDatabase(cmd *cobra.Command) bool {
	_, rest, _ := strings.Cut(cmd.Use, " ")
	return (strings.HasPrefix(rest, "DB") || strings.HasPrefix(rest, "A B")) && !shell.In(cmd.Name(), " shell restore stress-writer")
}

// usable reports whether a command is one for the shell.
func usable(cmd *cobra.Command) bool {
	return takesDatabase(cmd) || cmd.HasSubCommands() && cmd.Name() != "completion" || shell.In(cmd.Name(), " help version")
}

// subcommands are the names of those below a command that are for the shell.
func subcommands(cmd *cobra.Command) (names []string) {
	if !cmd.HasParent() {
		names = strings.Fields(shell.NoCommands)
	}
	for _, c := range cmd.Commands() {
		if usable(c) && !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

// keyedCommands are those whose arguments are keys, and the value of one.
const keyedCommands = shell.Filtered + " get put key"

// clauses adds to args the words behind a command. For scan and count the first
// is a prefix; where, select, limit and reverse begin clauses, which are flags of
// the command line.
func clauses(args []string, cmd *cobra.Command, st shell.Statement, words []shell.Word) ([]string, error) {
	keyed := shell.In(cmd.Name(), keyedCommands)
	prefixed, keywords := shell.In(cmd.Name(), " scan count"), keywordsOf(cmd)
	keyword := func(w *shell.Word) bool { return w.Literal < 0 && shell.In(w.Text, keywords) }
	prefixes, others, begun := 0, 0, ""
	for len(words) > 0 {
		w := &words[0]
		words = words[1:]
		flag, value := flagOf(cmd, w)
		arg := marked(w, keyed)
		switch {
		case keyword(w) && cmd.Flags().Lookup(w.Text) == nil:
			return nil, usagef("%s has no %s, which scan has", cmd.Name(), w.Text)
		case keyword(w) && w.Text == "reverse":
			arg = "--reverse"
		case keyword(w):
			n := 0
			for n < len(words) && !keyword(&words[n]) && (w.Text != "limit" || n == 0) {
				if flag, _ := flagOf(cmd, &words[n]); flag != nil {
					break
				}
				n++
			}
			switch {
			case n == 0:
				return nil, usagef("nothing behind %s", w.Text)
			case shell.In(w.Text, begun):
				return nil, usagef("%s: %v", w.Text, errTwice)
			}
			begun += " " + w.Text
			arg = "--" + w.Text + "=" + st.Text[words[0].Start:words[n-1].End]
			words = words[n:]
		case w.Literal != 0 && strings.HasPrefix(w.Text, "-") && w.Text != "-":
			arg = marked(w, holdsBytes(flag))
			if flag != nil && flag.Name == "prefix" {
				prefixes++
			}
			if value && len(words) > 0 {
				args = append(args, arg)
				arg = marked(&words[0], holdsBytes(flag))
				words = words[1:]
			}
		case prefixed:
			arg = "--prefix=" + arg
			prefixes++
		default:
			if others++; cmd.Name() != "put" && (others > 1 || !keyed) { // it is no key or value
				if err := redirected(cmd, w); err != nil {
					return nil, err
				}
			}
		}
		args = append(args, arg)
		if prefixed && prefixes > 1 { // the last would win, and the rest be ignored
			return nil, secondPrefix(cmd, st.Words, w)
		}
	}
	return args, nil
}

// secondPrefix is the error of a statement with a word that could only be a second
// prefix. It looks whether one of its words means something elsewhere.
func secondPrefix(cmd *cobra.Command, words []shell.Word, second *shell.Word) error {
	for _, w := range words {
		if err := redirected(cmd, &w); err != nil {
			return err
		}
		if lower := strings.ToLower(w.Text); w.Literal < 0 && lower != w.Text && shell.In(lower, keywordsOf(cmd)) {
			return usagef("%s is a prefix; the clause is %s", w.Text, lower)
		}
	}
	return usagef("%s takes one prefix, and %s is a second; a range is --from A --to B", cmd.Name(), dump.Printable([]byte(second.Text)))
}

// redirected is the error of a word that stands for another place of the answer in
// the shell of the system, nil of any other word.
func redirected(cmd *cobra.Command, w *shell.Word) error {
	if w.Literal >= 0 || !shell.In(w.Text, " > >> |") {
		return nil
	}
	return usagef("%s stands for nothing here: .once FILE or .once |COMMAND, before %s, says where its answer goes", w.Text, cmd.Name())
}

// keywordsOf returns the words that begin clauses of a command.
func keywordsOf(cmd *cobra.Command) string {
	switch cmd.Name() {
	case "scan", "count":
		return shell.Clauses
	case "delete":
		return " where"
	}
	return ""
}

// marked is a word as an argument. Of a key or a value that was in quotes the
// bytes mean themselves.
func marked(w *shell.Word, key bool) string {
	if !key || w.Literal < 0 {
		return w.Text
	}
	return w.Text[:w.Literal] + literalMark + w.Text[w.Literal:]
}

// flagOf returns the flag that a word is, nil if it is none, and whether its
// value is the next word.
func flagOf(cmd *cobra.Command, w *shell.Word) (flag *pflag.Flag, value bool) {
	word := w.Text
	if len(word) < 2 || word[0] != '-' || w.Literal == 0 {
		return nil, false
	}
	cmd.InheritedFlags() // or Flags has only those of cmd itself
	name, _, given := strings.Cut(word, "=")
	if strings.HasPrefix(word, "--") {
		flag = cmd.Flags().Lookup(name[2:])
	} else {
		for i := 1; i < len(word); i++ {
			if flag = cmd.Flags().ShorthandLookup(word[i : i+1]); flag == nil || flag.NoOptDefVal == "" {
				given = i+1 < len(word)
				break
			}
		}
	}
	return flag, flag != nil && flag.NoOptDefVal == "" && !given
}

// isKeyFlag reports whether a flag's value is a key of the database; the --from
// of import and the --to of export are formats.
func isKeyFlag(f *pflag.Flag) bool {
	return f != nil && shell.In(f.Name, " prefix from to start end after") && choices(f.Usage) == nil
}

// holdsBytes reports whether a flag's value is a key or a value of the database.
func holdsBytes(f *pflag.Flag) bool {
	return isKeyFlag(f) || f != nil && f.Name == "if-equal"
}

// Fail says what is wrong with what is no command.
func (h *session) Fail(err error) int {
	if by, ok := errors.AsType[interrupted](err); ok {
		return h.app.complain(128+int(by.signal), h.shell.Complaint(err.Error()))
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitPipe
	}
	return h.app.complain(statusOf(err), h.shell.Complaint(h.app.message(err)))
}

func (h *session) Usage(message string) error { return usageError{message} }

func (h *session) Create(path string) (io.WriteCloser, error) {
	path, err := outPath(path)
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// name is that of the database, as it can be shown.
func (h *session) name() string { return dump.Printable([]byte(filepath.Base(h.db.Path()))) }

func (h *session) State() shell.State {
	return shell.State{Database: h.name(), InTx: h.tx != nil, Writes: h.writes}
}

// is returns a setting.
func (h *session) is(name string) string { return h.shell.Settings[name] }

// Set opens another keyspace, or the database once more.
func (h *session) Set(name, argument string) error {
	switch name {
	case "keyspace":
		_, err := h.db.Keyspace(argument)
		if err != nil {
			err = hinted(err, listSpaces)
		}
		return err
	case "write":
		if argument == h.is("write") {
			return nil
		}
		if h.tx != nil {
			return usagef(".write: a transaction is open: commit or rollback first")
		}
		return h.reopen(argument == "on")
	}
	return nil
}

// encodings are what -K and -V take.
var encodings = []string{"auto", "raw", "quoted", "hex", "base64", "u64", "json", "size", "redacted", "none"}

func (h *session) keyspaces() []string {
	spaces, _ := h.db.Keyspaces()
	var names []string
	for _, k := range spaces {
		if k.Name != "" {
			names = append(names, shell.Quote([]byte(k.Name)))
		}
	}
	return names
}

// longestShown is how long a key or the name of a field is at most that is completed.
const longestShown = 256

// Tab looks at so many entries at most, and for fields in values of so many bytes.
const (
	mostSampled    = 1000
	longestSampled = 1 << 20
)

// sample calls fn with the first entries that a statement would read, of which there
// are these words, and whose keys begin with prefix, in the time that Tab may take.
// What cannot be read is not completed: the statement will say why.
func (h *session) sample(words []shell.Word, prefix []byte, fn func(*engine.Iterator) bool) {
	began := time.Now()
	a := newApp(h.app.ctx, h.app.Streams)
	a.session = h
	cmd, words := find(a.root(), words)
	a.keysFlag = h.is("keys")
	args, err := clauses(nil, cmd, shell.Statement{}, words)
	if err != nil || cmd.ParseFlags(args) != nil {
		return
	}
	a.keys = dump.Encoding(a.keysFlag)
	start, end, _ := (&keyRange{cmd: cmd, names: [2]string{"start", "end"}}).bounds(a, false)
	start, end = later(start, prefix), earlier(end, query.PrefixEnd(prefix))
	ks, err := a.keyspaceOf(h.db)
	if err != nil {
		return
	}
	tx := h.tx
	if tx == nil {
		if tx, err = h.db.Begin(engine.TxOptions{ReadOnly: true}); err != nil {
			return
		}
		defer tx.Rollback()
	}
	it := tx.In(ks).NewIterator(engine.IterOptions{Start: start, End: end})
	n := 0
	for ok := it.First(); ok && n < mostSampled && time.Since(began) < completionTime && fn(it); ok = it.Next() {
		n++
	}
	_ = it.Close()
}

// keysOf finds keys for a statement.
func (h *session) keysOf(words []shell.Word) shell.Keys {
	return func(prefix []byte, most int) (keys [][]byte, more bool) {
		h.sample(words, prefix, func(it *engine.Iterator) bool {
			if len(keys) == most {
				more = it.Last()
			}
			if key := it.Key(); len(key) <= longestShown {
				keys = append(keys, append([]byte{}, key...))
			}
			return !more
		})
		return keys, more
	}
}

// operandsOf finds what may stand where typed ends in an expression, of which expr is
// what comes before; nothing where that is no operand. Fields come first, in order,
// and each as often as it is there; one that has fields itself with a dot behind it,
// too. In typed may stand what joins an operand with others.
func (h *session) operandsOf(words []shell.Word, expr, typed string) []string {
	begin := strings.LastIndexAny(typed, " '(,=<>|;") + 1
	if !query.TakesOperand(expr + strings.TrimPrefix(typed[:begin], "'")) {
		return nil
	}
	all := h.fieldsOf(words, typed, begin)
	for _, word := range query.Words() {
		all = append(all, typed[:begin]+word)
	}
	return all
}

// fieldsOf finds the fields for operandsOf, where the path begins.
func (h *session) fieldsOf(words []shell.Word, typed string, begin int) []string {
	dot := begin + max(strings.LastIndexByte(typed[begin:], '.'), 0)
	of := typed[begin:dot]
	if of == "" {
		of = "."
	}
	columns, err := query.CompileSelect(of)
	if err != nil {
		return nil
	}
	var all []string
	add := func(name, value []byte) {
		if len(name) > longestShown {
			return
		}
		field := string(name)
		if field == "" || field[0] <= '9' || strings.Trim(field, "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			field = string(dump.AppendJSONString(nil, name))
		}
		for field = typed[:dot] + "." + field; ; field += "." {
			all = append(all, field)
			if value[0] != '{' || strings.HasSuffix(field, ".") {
				break
			}
		}
	}
	h.sample(words, nil, func(it *engine.Iterator) bool {
		if it.ValueSize() <= longestSampled {
			_ = columns.Run(it.Key(), it.Value()) // what has no answer has no fields
			columns.EachField(add)
		}
		return true
	})
	sort.StringSlice(all).Sort()
	return all
}

// argumentsOf returns what a command takes in the shell.
func argumentsOf(cmd *cobra.Command) string {
	switch cmd.Name() {
	case "scan":
		return "[PREFIX] [where EXPR] [select FIELDS] [limit N] [reverse]"
	case "count":
		return "[PREFIX] [where EXPR]"
	case "delete":
		return "[KEY...] [where EXPR]"
	}
	_, args, _ := strings.Cut(cmd.Use, " ")
	if takesDatabase(cmd) {
		_, args, _ = strings.Cut(args, " ")
	}
	return args
}

// statementOf returns a command as it is written in the shell, with what it takes.
func statementOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ") + " " + argumentsOf(cmd)
}

// noCommands are what shell.NoCommands are for.
var noCommands = [...][2]string{{"begin", "Begin a transaction"}, {"commit", "Make the writes of the transaction durable"}, {"rollback", "Give the transaction up"}, {"exit", "Leave"}}

func (h *session) Commands() [][2]string {
	list := noCommands[:len(noCommands):len(noCommands)]
	var topics [][2]string
	for _, cmd := range h.root().Commands() {
		switch {
		case cmd.IsAdditionalHelpTopicCommand():
			topics = append(topics, [2]string{"help " + cmd.Name(), cmd.Short})
		case usable(cmd) && !cmd.Hidden:
			list = append(list, [2]string{strings.TrimSpace(cmd.Name() + " " + argumentsOf(cmd)), cmd.Short})
		}
	}
	return append(list, topics...)
}

// root returns commands to look at. None of them is run.
func (h *session) root() *cobra.Command {
	if h.commands == nil {
		h.commands = newApp(h.app.ctx, h.app.Streams).root()
	}
	return h.commands
}

func (h *session) Complete(words []shell.Word, typed string) (names []string, keys shell.Keys) {
	root := h.root()
	cmd, behind := find(root, words)
	switch {
	case cmd.Name() == "help" && !strings.HasPrefix(typed, "-"):
		about, unknown := find(root, behind)
		if len(unknown) > 0 {
			return nil, nil
		}
		if names = subjects(about); about == root {
			names = append(names, strings.Fields(shell.NoCommands)...)
		}
		return names, nil
	case cmd == root && len(words) > 0:
		if words[0].Plain(".keyspace") {
			names = h.keyspaces()
		}
		return names, nil
	case strings.HasPrefix(typed, "-"):
		cmd.InheritedFlags()
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, "--"+f.Name)
			}
		})
		return names, nil
	case cmd.HasSubCommands():
		return subcommands(cmd), nil
	}
	var r reading
	r.read(root, words)
	if shell.In(r.clause, " where select") {
		operands := h.operandsOf(r.before, r.expr, typed)
		if _, err := query.CompileSelect(r.expr); operands != nil || err != nil { // more is to follow
			return operands, nil
		}
	}
	names, what := wanted(cmd, r.flag, r.arguments+1) // behind the database
	switch {
	case r.flag == nil && r.clauses != " ":
	case what == wantsSpace:
		names = h.keyspaces()
	case strings.HasPrefix(what, "EXPR"):
		names = h.operandsOf(r.before, "", typed)
	case what == wantsKey || r.flag == nil && r.arguments == 0 && shell.In(cmd.Name(), " scan count"):
		keys = h.keysOf(r.before)
	}
	for _, word := range strings.Fields(shell.Clauses) {
		if strings.Contains(r.hint, "["+word) {
			names = append(names, word)
		}
	}
	return names, keys
}
