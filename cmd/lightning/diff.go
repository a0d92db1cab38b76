package main

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/content"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

func diffCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "diff A B",
		GroupID: groupSafe,
		Short:   "Compare two databases",
		Long: `Compare what two databases hold, whatever their layout: the entries of all
keyspaces, or of the one that -k names. The status is 1 where they differ, and
0 where they do not.

Each key by which they differ is a line: -key with the value that only A has,
+key with the one that only B has, ~key with both. As JSON lines they are a
patch, by which lightning batch makes A hold what B does.`,
		Example: `  lightning diff my.db other.db
  lightning diff my.db other.db --summary
  lightning diff my.db other.db --prefix user: --keys
  lightning diff -o jsonl my.db other.db | lightning batch my.db`,
		Args: arguments(2, 2),
	}
	d := &diff{app: a, keyRange: rangeFlags(cmd, "from", "to")}
	f := cmd.Flags()
	f.Var(onlyFlag{&d.onlyKeys, &a.keysFlag}, "keys", "print keys without their values")
	f.Lookup("keys").NoOptDefVal = "true"
	f.StringVarP(&a.keysFlag, "key-encoding", "K", "auto", "`ENCODING` of keys, in arguments and output (help encodings)")
	f.BoolVar(&d.summary, "summary", false, "print only how many keys differ")
	cmd.RunE = func(_ *cobra.Command, args []string) error { return d.run(args) }
	return cmd
}

type diff struct {
	app               *app
	keyRange          *keyRange
	onlyKeys, summary bool

	text   bool
	bounds engine.IterOptions
	counts [content.Same + 1]int64
}

func (d *diff) run(args []string) (err error) {
	format, err := textOrJSON(d.app)
	if err != nil {
		return err
	}
	if d.text = format == formatText; d.text && d.app.OutTerminal {
		d.app.out = bufio.NewWriter(ui.SafeWriter(d.app.Out)) // -K raw and -V json are not
	}
	if d.bounds.Start, d.bounds.End, err = d.keyRange.bounds(d.app, false); err != nil {
		return err
	}
	name, one := d.app.keyspace, d.app.oneSpace
	d.app.keyspace, d.app.oneSpace = "", false // only one of the two may have it
	err = d.app.moment(args[0], func(_ *engine.DB, a []space) error {
		return d.app.moment(args[1], func(db *engine.DB, b []space) error {
			if one {
				a, b = only(a, name), only(b, name)
			}
			if one && len(a)+len(b) == 0 {
				_, err := db.Keyspace(name)
				return fmt.Errorf("neither database: %w", err)
			}
			return d.compare(a, b)
		})
	})
	c := d.counts
	differing := c[content.Removed] + c[content.Added] + c[content.Changed]
	if err != nil {
		return stopped(err, "of %s compared, %s differ", ui.Plural(differing+c[content.Same], "key"), ui.Count(differing))
	}
	differ := differing > 0
	if d.summary {
		form := `{"only_a":%d,"only_b":%d,"changed":%d,"same":%d,"equal":%t}` + "\n"
		if d.text {
			form = "only in A  %d\nonly in B  %d\nchanged    %d\nsame       %d\nequal      %t\n"
		}
		fmt.Fprintf(d.app.out, form, c[content.Removed], c[content.Added], c[content.Changed], c[content.Same], !differ)
	}
	if differ {
		return saidError{exitNo}
	}
	return nil
}

// compare compares the keyspaces of two databases, by their names. One that is
// not there is as one without entries.
func (d *diff) compare(a, b []space) error {
	for len(a)+len(b) > 0 {
		var left, right engine.Reader
		name := ""
		inA := len(b) == 0 || len(a) > 0 && a[0].name <= b[0].name
		if len(b) > 0 && (len(a) == 0 || b[0].name <= a[0].name) {
			name, right, b = b[0].name, b[0].entries, b[1:]
		}
		if inA {
			name, left, a = a[0].name, a[0].entries, a[1:]
		}
		head := name != ""
		err := content.Diff(d.app.ctx, left, right, d.bounds, func(c content.Change, key []byte, a, b *engine.Iterator) error {
			d.counts[c]++
			if c == content.Same || d.summary {
				return nil
			}
			if head && d.text {
				head = false
				fmt.Fprintf(d.app.out, "keyspace %s\n", shown(name))
			}
			return d.print(c, name, key, a, b)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// print prints the line of a difference.
func (d *diff) print(c content.Change, name string, key []byte, a, b *engine.Iterator) error {
	o := dump.WriterOptions{Keys: d.app.keys, Values: d.app.values}
	if d.onlyKeys || !d.text && b == nil {
		o.Values = dump.None
	}
	var values [2][]byte
	for i, it := range []*engine.Iterator{a, b} {
		if it == nil || o.Values == dump.None || i == 0 && !d.text {
			continue
		}
		if values[i] = it.Value(); values[i] == nil {
			return it.Err()
		}
	}
	if d.text {
		d.app.out.WriteByte("-+~"[c])
		d.app.out.Write(d.app.keys.Append(nil, key))
		for _, value := range values {
			if value != nil {
				d.app.out.WriteByte('\t')
				d.app.out.Write(d.app.values.Append(nil, value))
			}
		}
	} else {
		op := `{"op":"put",`
		if b == nil {
			op = `{"op":"delete",`
		}
		d.app.out.WriteString(op)
		if name != "" {
			d.app.out.WriteString(`"keyspace":`)
			d.app.out.Write(append(dump.AppendJSONString(nil, []byte(name)), ','))
		}
		d.app.out.Write(dump.AppendEntry(nil, key, values[1], o)[1:])
	}
	return d.app.out.WriteByte('\n') // a bufio.Writer repeats its first error
}
