package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
)

const encodingsTopic = `-K sets how keys, -V how values stand in arguments and in output:

    auto      arguments as they are; output as text where that is printable
              and begins with no ", else quoted (the default)
    raw       the bytes as they are
    quoted    "a\x00b", with the escapes of Go and C; in arguments the quotes
              may be left out
    hex       610062
    base64    YQBi
    u64       8 bytes, big-endian, as a decimal number: 42; what has not 8
              bytes is quoted
    json      values only: a JSON document; embedded as such in JSON output,
              else on one line; what is none is as with auto
    size      output only: the number of bytes
    redacted  output only: a placeholder
    none      output only: nothing

No argument can hold a NUL byte: give it as quoted or hex.
    lightning put my.db -K quoted 'a\x00b' value
    lightning get my.db -K hex 610062
`

// key reads a key from an argument.
func (a *app) key(arg string) ([]byte, error) {
	key, err := decode(a.keys, arg)
	if err != nil {
		return nil, usagef("key: %v", err)
	}
	return key, nil
}

// literalMark stands before an argument whose bytes mean themselves, whatever the
// encoding: one of the shell that was in quotes. No other argument has a NUL.
const literalMark = "\x00"

// decode reads the bytes that an argument means.
func decode(e dump.Encoding, arg string) ([]byte, error) {
	if b, ok := strings.CutPrefix(arg, literalMark); ok {
		return []byte(b), nil
	}
	return e.Decode([]byte(arg))
}

// argument writes a key, all of it, as an argument that means it; where -K has no
// such one, as -K quoted does.
func (a *app) argument(key []byte) string {
	text := a.keys.Append(nil, key)
	if back, err := a.keys.Decode(text); err != nil || !bytes.Equal(back, key) {
		return string(dump.Quoted.Append(nil, key)) + " (-K quoted)"
	}
	return string(text)
}

func checkKey(key []byte) error {
	if len(key) > engine.MaxKeySize {
		return fmt.Errorf("key %s: %w: it has %d bytes, and the longest key %d", dump.Printable(key), engine.ErrTooLarge, len(key), engine.MaxKeySize)
	}
	return nil
}

// value reads a value from an argument: text, - for standard input, or @FILE.
// With -V quoted an argument is always text.
func (a *app) value(ctx context.Context, arg string) ([]byte, error) {
	if value, ok := strings.CutPrefix(arg, literalMark); ok {
		return []byte(value), nil
	}
	if arg == "-" && a.values != dump.Quoted {
		return a.standardInput(ctx)
	}
	path, isFile := strings.CutPrefix(arg, "@")
	if !isFile || a.values == dump.Quoted {
		value, err := a.values.Decode([]byte(arg))
		if err != nil {
			err = usagef("value: %v", err)
		}
		return value, err
	}
	if path == "" {
		return nil, usagef("value: the file behind @ has no name; -V quoted takes @ as text")
	}
	r, f, err := a.input(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return a.valueFrom(r, path)
}

func (a *app) standardInput(ctx context.Context) ([]byte, error) {
	return a.valueFrom(ui.Interruptible(ctx, a.In), "standard input")
}

// input opens a file, or standard input for -, of which there is nothing to
// close: f is nil.
func (a *app) input(ctx context.Context, path string) (r io.Reader, f *os.File, err error) {
	if path == "-" {
		return ui.Interruptible(ctx, a.In), nil, nil
	}
	if path == "" {
		return nil, nil, errNoFile
	}
	if f, err = ui.Open(ctx, path); err != nil {
		return nil, nil, err
	}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
		return ui.Interruptible(ctx, f), f, nil
	}
	return f, f, nil
}

var errNoFile error = usageError{"the name of a file is empty"}

// inputName is what errors call it.
//
//go:noinline // called in five places, none of them hot
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

func (a *app) valueFrom(r io.Reader, name string) ([]byte, error) {
	limit := int64(engine.MaxValueSize)
	switch a.values {
	case dump.Hex, dump.Base64:
		limit *= 3 // the text of a value is longer than the value
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("value from %s: %w: the longest value has %d bytes", name, engine.ErrTooLarge, engine.MaxValueSize)
	}
	if !a.values.Plain() {
		b = bytes.TrimSpace(b)
	}
	value, err := a.values.Decode(b)
	if err != nil {
		err = fmt.Errorf("value from %s: %w: %w", name, errData, err)
	}
	return value, err
}

// A keyRange is the flags that choose keys.
type keyRange struct {
	_     [0]func() // not compared
	cmd   *cobra.Command
	names [2]string // of the flags for from and to
}

// rangeFlags adds --prefix and the two flags for the bounds of a range.
func rangeFlags(cmd *cobra.Command, from, to string) *keyRange {
	r := &keyRange{cmd: cmd, names: [2]string{from, to}}
	f := cmd.Flags()
	f.String("prefix", "", "keys that begin with this")
	f.String(from, "", "keys from this one on (inclusive)")
	f.String(to, "", "keys before this one (exclusive)")
	if from == "from" { // by the names that other tools and export have, too
		f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
			switch name {
			case "start":
				name = "from"
			case "end":
				name = "to"
			}
			return pflag.NormalizedName(name)
		})
	}
	return r
}

// scanFlags adds --after, too.
func scanFlags(cmd *cobra.Command) *keyRange {
	r := rangeFlags(cmd, "from", "to")
	cmd.Flags().String("after", "", "keys behind this one, in the direction of the scan: go on where an earlier one stopped")
	return r
}

// given reports whether any of the flags was.
func (r *keyRange) given() bool {
	return slices.ContainsFunc([]string{"prefix", r.names[0], r.names[1]}, r.changed)
}

func (r *keyRange) changed(name string) bool { return r.cmd.Flags().Changed(name) }

// text is what a flag says.
func (r *keyRange) text(name string) string { return r.cmd.Flags().Lookup(name).Value.String() }

// bounds returns the range as half-open; nil is no bound.
func (r *keyRange) bounds(a *app, reverse bool) (start, end []byte, err error) {
	key := func(name string) []byte {
		if !r.changed(name) {
			return nil
		}
		b, keyErr := decode(a.keys, r.text(name))
		if keyErr != nil {
			err = usagef("--%s: %v", name, keyErr)
		}
		return append([]byte{}, b...) // not nil: the empty key is a key
	}
	start, end = key(r.names[0]), key(r.names[1])
	if prefix := key("prefix"); prefix != nil {
		start, end = later(start, prefix), earlier(end, query.PrefixEnd(prefix))
	}
	if after := key("after"); after != nil {
		if reverse {
			end = earlier(end, after)
		} else {
			start = later(start, append(after, 0))
		}
	}
	return start, end, err
}

// later and earlier choose the bound that leaves less.
func later(a, b []byte) []byte {
	if bytes.Compare(a, b) >= 0 {
		return a
	}
	return b
}

func earlier(a, b []byte) []byte {
	if a == nil || b != nil && bytes.Compare(b, a) < 0 {
		return b
	}
	return a
}

// readKeys reads keys from a file or standard input: one a line, or ended by
// NUL. A line that begins with a quote may be a key that was printed in quotes
// or one that has them: which of the two must be said. And where lines are said
// to be in quotes, one that is not, and has a backslash, may be a key as it was
// printed or one whose quotes were left out: nobody can say, and it is refused.
func (a *app) readKeys(ctx context.Context, path string, nul bool) ([][]byte, error) {
	r, f, err := a.input(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	end := []byte{'\n'}
	if nul {
		end = []byte{0}
	}
	path = inputName(path)
	var keys [][]byte
	for len(text) > 0 {
		var arg []byte
		arg, text, _ = bytes.Cut(text, end)
		quoted := bytes.HasPrefix(arg, []byte{'"'})
		switch {
		case a.keys == dump.Auto && !nul && quoted:
			return nil, usagef("%s: key %d begins with a quote: -K quoted reads what lightning scan prints, -K raw takes it as it is", path, len(keys)+1)
		case a.keys == dump.Quoted && !quoted && bytes.IndexByte(arg, '\\') >= 0:
			return nil, usagef("%s: key %d has a backslash and no quotes: lightning scan --keys -K quoted puts all in quotes", path, len(keys)+1)
		}
		key, err := a.keys.Decode(arg)
		if err != nil {
			return nil, fmt.Errorf("%s: key %d: %w: %w", path, len(keys)+1, errData, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
