package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func duCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "du DB",
		GroupID: groupInspect,
		Short:   "Print how much space keys take, by prefix",
		Long: `Print how many keys begin with each prefix, and how large they and their
values are: the largest first. A prefix ends behind a separator, the last of
--depth; the keys that have none are a row without a prefix. With --prefix,
separators count from its end on.

What they take on the disk is estimated: their share of the file. All keys are
read; large values are not. Ctrl-C prints what has been counted so far, and the
key that --from goes on with.

With --sample, keys and bytes are estimated, too: the keys are cut into pieces,
as the leaves of the tree are or more coarsely, and so many of them are read,
drawn at random, but the same each time. ± is what 19 of 20 estimates are off at
most. A prefix that few keys have may be left out.`,
		Example: `  lightning du my.db
  lightning du my.db --sep / --depth 2 -n 5
  lightning du my.db --prefix user: -n 0 -o csv
  lightning du big.db --sample 1000`,
		Args: arguments(1, 1),
	}
	d := &du{app: a, keyRange: rangeFlags(cmd, "from", "to")}
	f := cmd.Flags()
	f.StringVar(&d.separator, "sep", ":", "what ends a part of a key")
	f.IntVar(&d.depth, "depth", 1, "how many parts make a prefix")
	f.IntVar(&d.sample, "sample", 0, "read only so many pieces of the keys, and estimate; 0: all")
	f.IntVarP(&d.limit, "limit", "n", 20, "at most this many rows; 0: all")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return d.run(args[0]) }
	return cmd
}

type du struct {
	app                  *app
	keyRange             *keyRange
	separator            string
	depth, limit, sample int

	skip int    // bytes of --prefix
	ends []byte // what the separator is
	all  groups

	// With --sample:
	sums   map[string]*sums // by the prefix
	total  sums
	strata int
	part   float64 // of the pieces that are read
}

func (d *du) run(arg string) error {
	switch {
	case d.separator == "":
		return usagef("--sep '': use what separates the parts of keys")
	case d.depth < 1:
		return usagef("--depth %d: use 1 or more", d.depth)
	case d.limit < 0:
		return usagef("--limit %d: use 0 or more", d.limit)
	case d.sample != 0 && d.sample < 10:
		return usagef("--sample %d: use 10 or more, or 0 to read all", d.sample)
	}
	var err error
	if d.ends, err = d.app.keys.Decode([]byte(d.separator)); err != nil {
		return usagef("--sep: %v", err)
	}
	start, end, err := d.keyRange.bounds(d.app, false)
	if err != nil {
		return err
	}
	prefix, _ := d.app.keys.Decode([]byte(d.keyRange.text("prefix")))
	d.skip = len(prefix)
	format, err := d.app.format(d.app.tabular(), columnFormats...)
	if err != nil {
		return err
	}
	d.app.oneSpace = true
	return d.app.moment(arg, func(db *engine.DB, spaces []space) (err error) {
		var stop []byte
		if d.sample > 0 {
			stop, err = d.estimate(spaces[0].entries, start, end)
		} else {
			stop, err = d.count(spaces[0].entries, start, end, &d.all)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		st := db.Stats()
		var sum int64 // may wait in the log, and be many times what is in the file
		for i := range d.all.list {
			sum += d.all.list[i].size
		}
		if err := d.print(format, float64(st.UsedBytes)/max(float64(st.DataBytes), float64(sum), 1)); err != nil {
			return err
		}
		return stopped(err, "counted until before %s, where --from goes on", d.app.argument(stop))
	})
}

// count adds up the keys of a range. Where it is stopped, that was before a key.
func (d *du) count(r engine.Reader, start, end []byte, g *groups) (stop []byte, err error) {
	it := r.NewIterator(engine.IterOptions{Start: start, End: end})
	n := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key := it.Key()
		if n++; n%1024 == 0 && d.app.ctx.Err() != nil {
			stop, err = bytes.Clone(key), d.app.ctx.Err()
			break
		}
		end := d.skip
		for range d.depth {
			at := bytes.Index(key[end:], d.ends)
			if at < 0 {
				break
			}
			end += at + len(d.ends)
		}
		err = g.add(key[:end], int64(len(key)+it.ValueSize()))
	}
	return stop, errors.Join(err, it.Close())
}

// estimate counts one piece of the range in each of as many strata as pieces are
// to be read: runs of pieces, all of which it stands for.
func (d *du) estimate(r engine.Reader, start, end []byte) (stop []byte, err error) {
	cuts, err := r.Split(start, end, 20*d.sample)
	if err != nil {
		return nil, err
	}
	bounds := append(append([][]byte{start}, cuts...), end)
	pieces := len(bounds) - 1
	strata := min(d.sample, pieces)
	d.sums, d.part = map[string]*sums{}, float64(strata)/float64(pieces)
	random := rand.New(rand.NewPCG(uint64(pieces), uint64(strata)))
	for h := range strata {
		first, next := h*pieces/strata, (h+1)*pieces/strata
		piece, stands := first+random.IntN(next-first), float64(next-first)
		var g groups
		if err = d.app.ctx.Err(); err == nil {
			_, err = d.count(r, bounds[piece], bounds[piece+1], &g)
		}
		if errors.Is(err, context.Canceled) {
			stop, strata = bounds[first], h
			break
		}
		var keys, size float64
		for _, one := range g.list {
			if err == nil {
				err = d.all.add([]byte(one.value), 0)
			}
			s := d.sums[one.value]
			if s == nil {
				s = new(sums)
				d.sums[one.value] = s
			}
			s.add(h, stands*float64(one.count), stands*float64(one.size))
			keys, size = keys+float64(one.count), size+float64(one.size)
		}
		if err != nil {
			return nil, err
		}
		d.total.add(h, stands*keys, stands*size)
	}
	d.strata = strata
	for i := range d.all.list {
		g := &d.all.list[i]
		s := d.sums[g.value]
		g.count, g.size = int64(s.keys.sum), int64(s.size.sum)
	}
	return stop, err
}

// duColumns are those of figures; every second is only of --sample.
var duColumns = [...]struct{ title, name string }{
	{"keys", "keys"}, {"±", "keys_error"}, {"bytes", "bytes"}, {"±", "bytes_error"}, {"on disk (est)", "disk_estimate"},
}

// print prints the rows, the largest first, and the sum.
func (d *du) print(format string, disk float64) error {
	sort.Sort(&d.all)
	var titles, names []string
	for i := range duColumns {
		if i%2 == 0 || d.sample > 0 {
			titles, names = append(titles, duColumns[i].title), append(names, duColumns[i].name)
		}
	}
	titles, names = append(titles, "prefix"), append(names, keyColumn("prefix", d.app.keys))
	t, err := d.app.newTable(format, titles, names)
	if err != nil {
		return err
	}
	var keys, size, shown int64
	for i, g := range d.all.list {
		keys += g.count
		if size += g.size; d.limit > 0 && i >= d.limit {
			continue
		}
		shown += g.size
		row := [5]int64{0: g.count, 2: g.size, 4: int64(disk * float64(g.size))}
		if d.sample > 0 {
			row[1], row[3] = d.off(d.sums[g.value])
		}
		at := 0
		for i, n := range row {
			if i%2 == 0 || d.sample > 0 {
				t.number(at, n, i > 1)
				at++
			}
		}
		t.key(at, "prefix", []byte(g.value))
		if err := t.row(); err != nil {
			return err
		}
	}
	if err := errors.Join(t.Close(), d.app.out.Flush()); err != nil {
		return err
	}
	text := ui.Plural(keys, "key") + ", " + ui.Bytes(size) + " in all"
	if d.sample > 0 {
		keysOff, sizeOff := d.off(&d.total)
		text = fmt.Sprintf("about %s ±%s, %s ±%s in all, from %.3g%% of the pieces", ui.Plural(keys, "key"), ui.Count(keysOff), ui.Bytes(size), ui.Bytes(sizeOff), d.part*100)
	}
	if more := len(d.all.list) - d.limit; more > 0 && d.limit > 0 {
		text += "; " + ui.Plural(more, "row") + " with " + ui.Bytes(size-shown) + " not shown: -n 0 for all"
	}
	d.app.Note("%s", text)
	return nil
}

// sums are estimates, of keys and of bytes.
type sums struct {
	_          [0]func() // not compared
	keys, size spread
}

func (s *sums) add(stratum int, keys, size float64) {
	s.keys.add(stratum, keys)
	s.size.add(stratum, size)
}

// off is how far from the truth they are, at two standard errors.
func (d *du) off(s *sums) (keys, size int64) {
	// From one piece of each stratum its variance cannot be told: it is taken from
	// how far those side by side differ (Wolter, Introduction to Variance
	// Estimation, chapter 8), which is too much where they should.
	factor := (1 - d.part) * float64(d.strata) / float64(max(d.strata-1, 1)) / 2
	off := func(s spread) int64 {
		if s.next < d.strata {
			s.add(d.strata-1, 0)
		}
		return int64(math.Ceil(2 * math.Sqrt(factor*s.squares)))
	}
	return off(s.keys), off(s.size)
}

// A spread adds up a figure over strata, and the squares of the differences of
// those side by side.
type spread struct {
	sum, squares, last float64
	next               int // stratum
}

func (s *spread) add(stratum int, n float64) {
	if s.next < stratum { // it was 0 in those between
		s.squares += s.last * s.last
		s.last = 0
	}
	if stratum > 0 {
		s.squares += (n - s.last) * (n - s.last)
	}
	s.sum += n
	s.last, s.next = n, stratum+1
}

// tabular is the form of output where none is asked for: a table on a terminal,
// else text.
func (a *app) tabular() string {
	if a.OutTerminal {
		return formatTable
	}
	return formatText
}

// number sets a cell to a number, perhaps of bytes: for people with commas or in
// units.
func (t *table) number(i int, n int64, sized bool) {
	text := strconv.FormatInt(n, 10)
	switch {
	case t.format != formatTable:
	case sized:
		text = ui.Bytes(n)
	default:
		text = ui.Count(n)
	}
	t.cells[i] = []byte(text)
}
