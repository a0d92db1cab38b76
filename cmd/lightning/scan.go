package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
)

// terminalLimit is how many entries a scan shows on a terminal unless it is
// told otherwise.
const terminalLimit = 100

func scanCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "scan DB",
		Aliases: []string{"ls"},
		GroupID: groupData,
		Short:   "Print entries in the order of their keys",
		Long: `Print entries in the order of their keys: all, those of a range, or those that
an expression is true of (lightning help where).

On a terminal that is a table of at most 100 entries; in a pipe it is all of
them, key TAB value, one a line. See also: lightning help formats. As lightning ls
it prints keys only.

--stats says on standard error how many entries were examined, how many skipped
(deleted, or written again since), what was read from the file, and how often the
cache had it.`,
		Example: `  lightning scan my.db --prefix user: -n 10
  lightning scan my.db --from a --to b --reverse
  lightning scan my.db --prefix user: -o jsonl -V json
  lightning scan my.db --where '.age > 30 and .city == "Rome"' --select .name,.age
  lightning scan my.db --count-by .city -n 10
  lightning scan my.db --keys -0 | xargs -0 -n1 echo`,
		Args: arguments(1, 1),
	}
	s := &scan{app: a, cmd: cmd, keyRange: scanFlags(cmd), where: a.whereFlags(cmd).statsFlag()}
	f := cmd.Flags()
	f.BoolVarP(&s.reverse, "reverse", "r", false, "from the last key to the first; with --count-by, from the fewest to the most")
	f.Int64VarP(&s.limit, "limit", "n", 0, "at most this many entries; 0: all (on a terminal 100 unless given)")
	f.StringVar(&s.selected, "select", "", "print these `EXPRS` of the value, with commas between, as in .name,.age (help where)")
	f.StringVar(&s.grouped, "count-by", "", "print how many entries there are for each value of this `EXPR`, most first")
	f.Var(onlyFlag{&s.onlyKeys, &a.keysFlag}, "keys", "print keys only")
	f.Var(onlyFlag{&s.onlyValues, &a.valuesFlag}, "values", "print values only")
	f.Lookup("keys").NoOptDefVal, f.Lookup("values").NoOptDefVal = "true", "true"
	// Elsewhere --keys and --values are the long names of -K and -V.
	f.StringVarP(&a.keysFlag, "key-encoding", "K", "auto", "`ENCODING` of keys, in arguments and output (help encodings)")
	f.StringVarP(&a.valuesFlag, "value-encoding", "V", "auto", "`ENCODING` of values, in output")
	f.BoolVar(&s.count, "count", false, "print only how many there are")
	f.BoolVarP(&s.nul, "null", "0", false, "end each with a NUL; short for -o null")
	f.BoolVarP(&s.mustMatch, "exit-status", "e", false, "exit status 1 where nothing matches")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s.onlyKeys = s.onlyKeys || cmd.CalledAs() == "ls" && !s.onlyValues && s.selected == "" && s.grouped == ""
		if err := s.prepare(); err != nil {
			return err
		}
		return a.snapshot(args[0], func(snapshot engine.Reader) error { return s.run(cmd.Context(), snapshot) })
	}
	return cmd
}

// An onlyFlag is --keys or --values of scan: alone it says that only those are
// wanted; with an encoding, as in --keys=hex, it is -K.
type onlyFlag struct {
	only     *bool
	encoding *string
}

func (o onlyFlag) String() string   { return "false" }
func (o onlyFlag) Type() string     { return "bool" }
func (o onlyFlag) IsBoolFlag() bool { return true }

func (o onlyFlag) Set(s string) error {
	only, err := strconv.ParseBool(s)
	if err != nil {
		_, err = dump.ParseEncoding(s)
		*o.encoding = s
		return err
	}
	*o.only = only
	return nil
}

type scan struct {
	app                  *app
	cmd                  *cobra.Command
	keyRange             *keyRange
	where                *where
	selected, grouped    string
	reverse              bool
	limit                int64
	onlyKeys, onlyValues bool
	count, nul           bool
	mustMatch            bool

	form       string
	columns    *query.Selection // of --select or --count-by
	start, end []byte
}

// prepare reads the flags.
func (s *scan) prepare() (err error) {
	standard := formatText
	switch {
	case s.nul && s.app.output != "" && s.app.output != formatNull:
		return usagef("-0 and --output %s: choose one", s.app.output)
	case s.nul:
		standard = formatNull
	case s.app.OutTerminal:
		standard = formatTable
	}
	if s.onlyKeys && s.onlyValues {
		return usagef("--keys and --values: choose one, or neither for both")
	}
	if s.limit < 0 {
		return usagef("--limit %d: use 0 or more", s.limit)
	}
	if err := s.prepareColumns(); err != nil {
		return err
	}
	if s.columns == nil && s.count {
		standard = formatText
	}
	if s.form, err = s.app.format(standard, formatsOf(s.cmd)...); err != nil {
		return err
	}
	if s.start, s.end, err = s.keyRange.bounds(s.app, s.reverse); err == nil {
		s.start, s.end, err = s.where.prepare(s.start, s.end, s.columns != nil)
	}
	return err
}

// prepareColumns compiles --select or --count-by.
func (s *scan) prepareColumns() (err error) {
	flag, list := "--select", s.selected
	switch grouped := s.cmd.Flags().Changed("count-by"); {
	case grouped && s.cmd.Flags().Changed("select"):
		return usagef("--select and --count-by: choose one")
	case grouped:
		flag, list = "--count-by", s.grouped
	case !s.cmd.Flags().Changed("select"):
		return nil
	}
	if s.columns, err = query.CompileSelect(list); err != nil {
		return usagef("%s: %v", flag, err)
	}
	switch {
	case flag == "--count-by" && len(s.columns.Columns) > 1:
		return usagef("--count-by takes one expression, not %d", len(s.columns.Columns))
	case s.count || s.nul || s.onlyKeys || s.onlyValues && flag == "--count-by":
		return usagef("%s prints columns of its own: it takes no --count, --keys, --values or -0", flag)
	case s.app.values != dump.Auto && s.app.values != dump.Raw && s.app.values != dump.Quoted:
		return usagef("-V %s is for whole values: the columns of %s are text and JSON", s.app.values, flag)
	}
	return nil
}

func (s *scan) run(ctx context.Context, snapshot engine.Reader) error {
	var n int64
	var err error
	if s.cmd.Flags().Changed("count-by") {
		n, err = s.countBy(snapshot)
	} else {
		n, err = s.print(ctx, snapshot)
	}
	if err == nil {
		err = s.where.report(n, "row")
	}
	err = stopped(err, "%s, and more to read", ui.Plural(n, "row"))
	if err == nil && n == 0 && s.mustMatch {
		return noError{"nothing matches"}
	}
	return err
}

// print prints the entries, or their number, and returns it.
func (s *scan) print(ctx context.Context, snapshot engine.Reader) (int64, error) {
	if s.count && s.limit == 0 {
		n, err := s.where.count(snapshot, s.start, s.end)
		if err != nil {
			return n, err
		}
		return n, s.app.printCount(s.form, n)
	}
	limit, implied := s.limit, false
	if s.app.OutTerminal && !s.count && !s.cmd.Flags().Changed("limit") {
		limit, implied = terminalLimit, true
	}
	c := columns{keys: !s.onlyValues, values: !s.onlyKeys}
	if s.form == formatNull && c.keys {
		c.values = false
	}
	var w dump.Writer = discard{}
	var err error
	if s.columns != nil {
		if w, err = s.app.newSelector(s.where, s.columns, s.form, c.keys); err != nil {
			return 0, err
		}
	} else if !s.count {
		if w, err = s.app.entryWriter(s.form, c); err != nil {
			return 0, err
		}
	}
	n, more, err := s.walk(ctx, snapshot, w, limit)
	if err != nil {
		return n, err
	}
	if s.count {
		return n, s.app.printCount(s.form, n)
	}
	if err := w.Close(); err != nil {
		return n, err
	}
	if more && implied {
		if err := s.app.out.Flush(); err != nil {
			return n, err
		}
		s.app.Quiet = false // what is left out is said at any rate
		s.app.Note("… the first %d are shown; --limit 0 for all", n)
	}
	return n, nil
}

type discard struct{}

func (discard) Write(_, _ []byte) error { return nil }
func (discard) Close() error            { return nil }

// walk writes entries up to the limit, and reports whether there are more.
func (s *scan) walk(ctx context.Context, snapshot engine.Reader, w dump.Writer, limit int64) (n int64, more bool, err error) {
	it := snapshot.NewIterator(engine.IterOptions{Start: s.start, End: s.end})
	defer func() {
		if closeErr := it.Close(); err == nil {
			err = closeErr
		}
	}()
	first, next := it.First, it.Next
	if s.reverse {
		first, next = it.Last, it.Prev
	}
	for ok := first(); ok; ok = next() {
		if limit > 0 && n == limit {
			return n, true, nil // with --where perhaps not: that could take long to find out
		}
		value := s.where.value(it, !s.onlyKeys && !s.count)
		if it.Err() != nil {
			break
		}
		if ok, err := s.where.match(it.Key(), value); !ok || err != nil {
			if err != nil {
				return n, false, err
			}
			continue
		}
		if err := w.Write(it.Key(), value); err != nil {
			return n, false, err
		}
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return n, false, ctx.Err()
		}
	}
	return n, false, nil
}
