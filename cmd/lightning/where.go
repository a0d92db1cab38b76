package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
)

const whereTopic = `--where chooses entries by an expression, --select and --count-by compute from
them. It is a part of jq: what is typed here means the same there.

    path      .  .a.b  .a[0]  .a[-1]  ."odd name"  .["odd name"]
    entry     $key  $value (its bytes as text)  $size (of the value, in bytes)
    constant  null  true  false  42  -1.5e3  "text"  ["a","b"]  {"a":1}
    compare   ==  !=  <  <=  >  >=
    combine   and  or  ( )  and behind an expression: | not
    function  .a | length    type  tostring  tonumber  startswith("x")
              endswith("x")  contains("x")  test("^x")  test("^x"; "i")  has("a")
              any(.a[]; . > 1)  all(.a[]; . > 1)

    lightning scan my.db --where '.age > 30 and .city == "Rome"'
    lightning scan my.db --where '.tags | contains(["new"])' --select .id,.tags
    lightning count my.db --where '$key | startswith("user:")'
    lightning count my.db --where '$key | test("^user:\\d+$")'
    lightning scan my.db --count-by .city

An entry matches unless the answer is null or false. What is not there is null,
and types are in the order null, false, true, numbers, strings, arrays, objects:
.age < 30 is true where there is no age. Where that is not meant:
    .age != null and .age < 30
What was imported from CSV or TSV is strings, which are behind all numbers, so that
.age > 30 is always true: .age | tonumber > 30.

Integers are compared exactly, whatever their length. Of several members of one
name the last counts, and escapes in names and strings are resolved. tostring of
a number is as it was written, 1e2 or 100.0: compare .n == 100. Of an array or an
object it is its JSON, without spaces. What is behind # is a comment, to the end
of the line. No arithmetic: for that, pipe into jq:
    lightning scan my.db -o jsonl -V json | jq 'select(.value.age * 2 > 60)'

test asks whether a part of a text matches a regular expression of RE2, with "i"
in small or capital letters. In a string a backslash is two: \\d \\s \\w \\b \\. ;
\\p{Greek} and its like are left out. What is more than about 65,000 characters,
with all repetitions, is too large. The time grows with the length of a text, no
faster.

Where a value is not JSON every path is null; $key, $value and $size are as ever.
Where jq has an error, as for .a of a string, the entry does not match. At the
end the number of either is said; --strict ends at the first, with status 5.

Conditions on $key that all entries must meet bound the range that is read, as
--prefix, --from and --to do: == < <= > >= with a string, startswith, and test of
what begins with ^ and text.
`

// A where is --where and --strict of a command: it chooses entries, and counts
// what it met.
type where struct {
	app    *app
	cmd    *cobra.Command
	expr   string
	strict bool

	filter *query.Filter // nil: every entry
	began  time.Time
	counts
}

// counts are what a pass over entries met.
type counts struct {
	examined, notJSON, failed int64
	bad                       bool   // the last entry is among these
	first                     string // of failed: which, and why
}

func (a *app) whereFlags(cmd *cobra.Command) *where {
	w := &where{app: a, cmd: cmd}
	f := cmd.Flags()
	f.StringVar(&w.expr, "where", "", "only entries for which this `EXPR` is true, as in '.age > 30 and .city == \"Rome\"' (help where)")
	f.BoolVar(&w.strict, "strict", false, "end at a value that is not JSON, or that an expression has no answer for")
	return w
}

// statsFlag adds --stats to a command whose database snapshot opens.
func (w *where) statsFlag() *where {
	w.cmd.Flags().BoolVar(&w.app.stats, "stats", false, "say on standard error what that took")
	return w
}

func (w *where) given() bool { return w.cmd.Flags().Changed("where") }

// prepare compiles the expression, and narrows a range by what it says of $key.
// others says that other expressions are given.
func (w *where) prepare(start, end []byte, others bool) (from, to []byte, err error) {
	w.began = time.Now()
	if !w.given() {
		if w.strict && !others {
			err = usagef("--strict is for expressions: there is none")
		}
		return start, end, err
	}
	if w.filter, err = query.Compile(w.expr); err != nil {
		return start, end, usagef("--where: %v", err)
	}
	from, to = w.filter.Range()
	return later(start, from), earlier(end, to), nil
}

// match reports whether an entry matches.
func (w *where) match(key, value []byte) (bool, error) {
	if w.examined++; w.examined%1024 == 0 && w.app.ctx.Err() != nil {
		return false, w.app.ctx.Err()
	}
	if w.filter == nil {
		w.bad = false
		return true, nil
	}
	ok, err := w.filter.Match(key, value)
	if w.bad = err != nil; w.bad {
		err = w.judge(key, err)
	}
	return ok, err
}

// judge counts an entry that an expression had trouble with, and returns an
// error if that is to end the command.
func (w *where) judge(key []byte, err error) error {
	text := fmt.Sprintf("key %s: %v", dump.Printable(key), err)
	if w.strict {
		return fmt.Errorf("%w: %s", errData, text)
	}
	switch {
	case err == query.ErrNotJSON:
		w.notJSON++
	case w.failed == 0:
		w.first = text
		fallthrough
	default:
		w.failed++
	}
	return nil
}

// value returns the value of the entry that it stands on, nil where nobody
// wants it.
func (w *where) value(it *engine.Iterator, wanted bool) []byte {
	if wanted || w.filter != nil && w.filter.ReadsValue() {
		return it.Value()
	}
	return nil
}

// count counts the entries that match.
func (w *where) count(r engine.Reader, start, end []byte) (n int64, err error) {
	if w.filter == nil {
		n, err = countKeys(w.app.ctx, r, start, end)
		w.examined = n
		return n, err
	}
	return w.each(r, start, end, false, func(*engine.Iterator, []byte) error { return nil })
}

// each calls fn on the entries of a range that match, with their values where
// these are wanted, and returns how many that were.
func (w *where) each(r engine.Reader, start, end []byte, values bool, fn func(it *engine.Iterator, value []byte) error) (n int64, err error) {
	w.counts = counts{}
	it := r.NewIterator(engine.IterOptions{Start: start, End: end})
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		value := w.value(it, values)
		if it.Err() != nil {
			break
		}
		var matches bool
		if matches, err = w.match(it.Key(), value); err == nil && matches {
			n++
			err = fn(it, value)
		}
	}
	return n, errors.Join(err, it.Close())
}

// report says on standard error what was met, and on a terminal how many
// entries were looked at.
func (w *where) report(n int64, what string) error {
	if err := w.app.out.Flush(); err != nil {
		return err
	}
	if w.notJSON > 0 {
		w.app.Note("%s not JSON: paths there were taken as null (help where)", ui.Plural(w.notJSON, "value")+verb(w.notJSON))
	}
	if w.failed > 0 {
		w.app.Note("no answer for %s; the first, %s", ui.Plural(w.failed, "entry"), w.first)
	}
	if !w.app.stats && (w.filter == nil || !w.app.ErrTerminal) {
		return nil
	}
	took := time.Since(w.began)
	line := fmt.Sprintf("%s, %s examined, %s", ui.Plural(n, what), ui.Count(w.examined), ui.Duration(took))
	if w.app.stats {
		w.app.touch()
		format := "; skipped %v, nodes read %v, bytes read %v, cache hits %v"
		if w.app.json {
			line = fmt.Sprintf(`{"message_type":"stats","matched":%d,"examined":%d,"seconds":%f`, n, w.examined, took.Seconds())
			format = `,"skipped":%v,"nodes_read":%v,"bytes_read":%v,"cache_hits":%v}`
		}
		var met []any
		for _, n := range w.app.touched {
			if met = append(met, n); !w.app.json {
				met[len(met)-1] = ui.Count(n)
			}
		}
		line += fmt.Sprintf(format, met...)
	}
	w.app.Note("%s", line)
	return nil
}

// touch notes how far the counts of what reading met are from what was noted
// before: entries that scans skipped, nodes and large values read from the file,
// their bytes, and those found in the cache.
func (a *app) touch() {
	s := a.reads.Stats()
	for i, n := range [...]uint64{s.Skipped, s.CacheMisses + s.CachePassed, s.ReadBytes, s.CacheHits} {
		a.touched[i] = n - a.touched[i]
	}
}

// deleteMatching deletes the entries of a range that match.
func (w *where) deleteMatching(tx *engine.Tx, start, end []byte) (int64, error) {
	// The iterator is closed before anything is deleted below it: keys are kept
	// one behind the other.
	var keys []byte
	var ends []int
	n, err := w.each(tx, start, end, false, func(it *engine.Iterator, _ []byte) error {
		keys = append(keys, it.Key()...)
		ends = append(ends, len(keys))
		return nil
	})
	begin := 0
	for _, end := range ends {
		if err != nil {
			break
		}
		err = tx.Delete(bytes.Clone(keys[begin:end]))
		begin = end
	}
	return n, err
}
