package main

import (
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/query"
)

// What completion in a shell of the system costs at most, so that Tab is never
// waited for: what is not found by then is not completed.
const (
	mostCandidates = 200
	completionTime = 100 * time.Millisecond
)

// completable has the commands below cmd say what may stand where the cursor is.
// The scripts in completions/ ask by running the program as __complete.
func (a *app) completable(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		a.completable(c)
	}
	cmd.ValidArgsFunction = a.candidates(nil)
	register := func(f *pflag.Flag) {
		of := *f // with the name of its value in backquotes, which cobra would show
		_, f.Usage = pflag.UnquoteUsage(f)
		_ = cmd.RegisterFlagCompletionFunc(f.Name, a.candidates(&of)) // or it is registered
	}
	cmd.PersistentFlags().VisitAll(register)
	cmd.LocalFlags().VisitAll(register)
}

// candidates returns what finds the values of a flag, or, if f is nil, those of
// the next argument.
func (a *app) candidates(f *pflag.Flag) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) (found []string, how cobra.ShellCompDirective) {
		names, what := wanted(cmd, f, len(args))
		how = cobra.ShellCompDirectiveNoFileComp
		if cmd.Name() == "help" && f == nil {
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				names = subjects(about)
			}
		}
		switch what {
		case "DB", "A", "B", "SRC", "DEST", "DIR":
			return nil, cobra.ShellCompDirectiveFilterDirs
		case "DB|BACKUP", "FILE":
			return nil, cobra.ShellCompDirectiveDefault
		case wantsKey, wantsSpace:
			if f != nil && f.Name == "prefix" {
				how |= cobra.ShellCompDirectiveNoSpace
			}
			if len(args) > 0 {
				names = a.inTime(args[0], what, typed)
			}
		}
		for _, name := range names {
			if strings.HasPrefix(name, typed) && plainInShells(name) {
				found = append(found, name)
			}
		}
		return found, how
	}
}

// What wanted says of names that the database has.
const wantsKey, wantsSpace = "KEY", "NAME"

// wanted says what a flag of a command may be, or if f is nil its argument number
// n, from 0: one of these names, or what the help calls it.
func wanted(cmd *cobra.Command, f *pflag.Flag, n int) (names []string, what string) {
	switch {
	case f == nil:
		words := strings.Fields(cmd.Use)
		if n++; n >= len(words) && strings.Contains(words[len(words)-1], "...") {
			n = len(words) - 1
		}
		if n < len(words) {
			what = strings.Trim(words[n], "[.]")
		}
		if what == wantsSpace && cmd.Name() == "create" {
			what = "" // it is new
		}
		return nil, what
	case f.Name == "keyspace":
		return nil, wantsSpace
	case f.Name == "output" && cmd.HasParent():
		return formatsOf(cmd), ""
	case isKeyFlag(f):
		return nil, wantsKey
	}
	what, usage := pflag.UnquoteUsage(f)
	if what == "ENCODING" {
		return encodings, ""
	}
	return choices(usage), what
}

// choices returns what a flag may be, where its usage tells: what it is for, a
// colon, and words with commas or "or" between, about which there may be more in
// parentheses.
func choices(usage string) []string {
	for {
		before, rest, ok := strings.Cut(usage, " (")
		if !ok {
			break
		}
		_, after, _ := strings.Cut(rest, ")")
		usage = before + after
	}
	usage = usage[strings.LastIndexByte(usage, ':')+1:]
	words := strings.Split(strings.ReplaceAll(usage, " or ", ", "), ",")
	for i, w := range words {
		if words[i] = strings.TrimSpace(w); strings.IndexByte(words[i], ' ') >= 0 {
			return nil
		}
	}
	if len(words) == 1 {
		return nil
	}
	return words
}

// plainInShells reports whether a word means itself to bash, zsh, fish and
// PowerShell, and is no flag. Others are not completed: each shell has quotes of
// its own, and data is nothing to be run.
func plainInShells(word string) bool {
	return word != "" && strings.IndexByte("-@=:%+", word[0]) < 0 && dump.IsText([]byte(word)) &&
		!strings.ContainsFunc(word, func(r rune) bool {
			return r < 0x80 && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') && !strings.ContainsRune("_-./:@%+=", r) ||
				r == 0xa0 || r >= 0x2000 && r < 0x2070 // spaces, and quotes to PowerShell
		})
}

// inTime returns the names of a database that are ready in time. What is wrong is
// not for here: the command will say it.
func (a *app) inTime(db, what, typed string) []string {
	found := make(chan []string, 1)
	until := time.Now().Add(completionTime)
	go func() { found <- a.names(db, what, typed, until) }()
	select {
	case names := <-found:
		return names
	case <-time.After(completionTime):
		return nil
	}
}

// placeless is a file system in which a reader leaves no file, not even while it
// reads. A writer that does not know of it may replace what it reads, which then
// has a wrong checksum and is not completed.
type placeless struct{ vfs.FS }

func (*placeless) Lock(string, string) (vfs.Lock, error) { return nil, fs.ErrPermission }

// names returns the keyspaces of a database, or the first keys of one that begin
// with what is typed, and the last, if there are more. Each is as it is written
// in an argument.
func (a *app) names(arg, what, typed string, until time.Time) (names []string) {
	path, err := a.path(arg)
	if err != nil {
		return nil
	}
	keys, err := dump.ParseEncoding(a.keysFlag)
	if err != nil {
		return nil
	}
	db, err := engine.Open(path, &engine.Options{ReadOnly: true, MustExist: true, CacheBytes: readCacheBytes, FS: &placeless{vfs.OS()}})
	if err != nil {
		return nil
	}
	_ = a.use(db, func(db *engine.DB, ks *engine.Keyspace) error {
		if what == wantsSpace {
			spaces, err := db.Keyspaces()
			for i := range spaces {
				names = append(names, spaces[i].Name)
			}
			return err
		}
		s, err := db.Snapshot()
		if err == nil {
			names, err = keysTyped(s.In(ks), keys, typed, until)
			s.Close()
		}
		return err
	})
	return names
}

// keysTyped returns the keys for names.
func keysTyped(r engine.Reader, keys dump.Encoding, typed string, until time.Time) (names []string, err error) {
	var o engine.IterOptions
	switch keys {
	case dump.Hex:
		o.Start, err = keys.Decode([]byte(typed[:len(typed)&^1]))
	case dump.Auto, dump.Raw:
		o.Start = []byte(typed)
	}
	if err != nil {
		return nil, err
	}
	if len(o.Start) > 0 {
		o.End = query.PrefixEnd(o.Start)
	}
	it := r.NewIterator(o)
	for ok := it.First(); ok && time.Now().Before(until); ok = it.Next() {
		name := string(keys.Append(nil, it.Key()))
		if keys == dump.Quoted {
			name = name[1 : len(name)-1] // the quotes may be left out
		}
		if !strings.HasPrefix(name, typed) || len(name) > longestShown || !plainInShells(name) {
			continue
		}
		if names = append(names, name); len(names) == mostCandidates-1 {
			// What all of them begin with is not to be more than what all that
			// there are begin with.
			if ok = it.Last(); ok {
				if name := string(keys.Append(nil, it.Key())); !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			break
		}
	}
	return names, it.Close()
}
