package main

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/query"
	"github.com/lightning-db/lightning/internal/ui"
	"github.com/lightning-db/lightning/shell"
)

// TestShell_Model: a thousand statements at random, transactions among them, say
// what a map would.
func TestShell_Model(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			script, want := modelScript(r, 1000)
			var out, errs bytes.Buffer
			db := filepath.Join(t.TempDir(), "my.db")
			status := run([]string{"shell", db, "--write", "-q", "--sync", "off", "--bail=false"}, &ui.Streams{In: strings.NewReader(script), Out: &out, Err: &errs})
			if status != 0 {
				t.Errorf("status %d: %s", status, errs.String())
			}
			if out.String() != want {
				have, want := strings.Split(out.String(), "\n"), strings.Split(want, "\n")
				for i := range have {
					if i >= len(want) || have[i] != want[i] {
						t.Fatalf("line %d of the answers: have %q, want %q", i+1, have[i], want[min(i, len(want)-1)])
					}
				}
				t.Fatalf("have %d lines, want %d", len(have), len(want))
			}
		})
	}
}

// modelScript makes n statements, and what they print.
func modelScript(r *rand.Rand, n int) (script, want string) {
	keys := []string{"a", "a:1", "a b", "", "\x00", "\xff\xfe", "'", `"`, "ü", "-x", "--", "@f", "{", "x'00'", "u64(1)", "#", "b;c", "line\nbreak", "where", "limit"}
	var in, out strings.Builder
	have := map[string]string{}
	var before map[string]string // of the transaction
	printed := func(key string) {
		if before == nil {
			return
		}
		fmt.Fprintf(&in, "count\n")
		fmt.Fprintf(&out, "%d\n", len(have))
	}
	for range n {
		key := keys[r.IntN(len(keys))]
		word := shell.Quote([]byte(key))
		switch r.IntN(9) {
		case 0, 1:
			value := keys[r.IntN(len(keys))]
			fmt.Fprintf(&in, "put %s %s\n", word, shell.Quote([]byte(value)))
			have[key] = value
			printed(key)
		case 2:
			fmt.Fprintf(&in, "delete %s\n", word)
			delete(have, key)
			printed(key)
		case 3, 4:
			fmt.Fprintf(&in, "get %s --default 'none' -V hex\n", word)
			if value, ok := have[key]; ok {
				fmt.Fprintf(&out, "%x\n", value)
			} else {
				fmt.Fprintf(&out, "%x\n", "none")
			}
		case 5:
			fmt.Fprintf(&in, "scan x'%x' -K hex -V hex\n", key)
			for _, k := range slices.Sorted(maps.Keys(have)) {
				if strings.HasPrefix(k, key) {
					fmt.Fprintf(&out, "%x\t%x\n", k, have[k])
				}
			}
		case 6:
			fmt.Fprintf(&in, "count --from %s; scan --to %q reverse limit 2 -K hex -V hex\n", word, key)
			var from int
			var to []string
			for _, k := range slices.Backward(slices.Sorted(maps.Keys(have))) {
				if k >= key {
					from++
				} else if len(to) < 2 {
					to = append(to, fmt.Sprintf("%x\t%x\n", k, have[k]))
				}
			}
			fmt.Fprintf(&out, "%d\n%s", from, strings.Join(to, ""))
		case 7:
			switch {
			case before == nil:
				in.WriteString("begin\n")
				before = maps.Clone(have)
			case r.IntN(2) == 0:
				in.WriteString("commit\n")
				before = nil
			default:
				in.WriteString("rollback\n")
				have, before = before, nil
			}
		case 8:
			if before == nil && r.IntN(4) == 0 { // the database is closed and opened again
				in.WriteString(".write off; .write on\n")
			}
		}
	}
	return in.String(), out.String()
}

// What another process commits, a shell that only reads sees in its next
// statement, but not in a transaction.
func TestShell_SeesOthers(t *testing.T) {
	db := filepath.Join(t.TempDir(), "my.db")
	put := func(key string) {
		t.Helper()
		if out, err := exec.Command("lightning", "put", db, key, "v").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	put("a")
	cmd := exec.Command("lightning", "shell", db)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	expect := func(statements, want string) {
		t.Helper()
		if _, err := fmt.Fprintln(in, statements); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("%s: have %q, want %q", statements, lines.Text(), want)
		}
	}
	expect("count", "1")
	put("b")
	expect("count", "2")
	expect("begin; count", "2")
	put("c")
	expect("count", "2")
	expect("rollback; count", "3")
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// A statement finds its command as it is among all of them, and no other there.
func TestRoot_OnlyOne(t *testing.T) {
	root := func(only string) *cobra.Command { return (&app{Streams: &ui.Streams{}, only: only}).root() }
	all := root("").Commands()
	theirs := strings.Fields("completion encodings environment exit-codes formats help")
	for _, want := range all {
		for _, name := range append(want.Aliases, want.Name()) {
			have := root(name).Commands()
			switch {
			case want.IsAdditionalHelpTopicCommand() || slices.Contains(theirs, name):
				if len(have) != len(all) {
					t.Errorf("%s: %d commands, want all %d", name, len(have), len(all))
				}
			case len(have) != 1 || have[0].UsageString() != want.UsageString():
				t.Errorf("%s: %d commands, %s", name, len(have), have[0].UsageString())
			}
		}
	}
	if have := root("no-command").Commands(); len(have) != len(all) {
		t.Errorf("no-command: %d commands, want all %d", len(have), len(all))
	}
}

// The words of a statement become the arguments of the command line, and where
// becomes the flag of scan.
func TestShell_Clauses(t *testing.T) {
	a := &app{Streams: &ui.Streams{}}
	root := a.root()
	for text, want := range map[string]string{
		`scan user: where .age > 30 and (.city == "New York") select .name, .age limit 5 reverse`: `--prefix=user:|--where=.age > 30 and (.city == "New York")|--select=.name, .age|--limit=5|--reverse`,
		`scan a limit 2 -K hex`:        `--prefix=a|--limit=2|-K|hex`,
		`scan where .a == -1 -o json`:  `--where=.a == -1|-o|json`,
		`scan where .a`:                `--where=.a`,
		`ls "where" -n 5 --keys`:       `--prefix=` + literalMark + `where|-n|5|--keys`,
		`scan -rn 5 a`:                 `-rn|5|--prefix=a`,
		`scan -n5 a`:                   `-n5|--prefix=a`,
		`scan --limit 5 a -o json`:     `--limit|5|--prefix=a|-o|json`,
		`scan --from "a" --to='b'`:     `--from|` + literalMark + `a|--to=` + literalMark + `b`,
		`count a where .b == 1`:        `--prefix=a|--where=.b == 1`,
		`delete a "-b" where .c`:       `a|` + literalMark + `-b|--where=.c`,
		`get limit "@x" --default "y"`: `limit|` + literalMark + `@x|--default|y`,
		`put k -k logs '-'`:            `k|-k|logs|` + literalMark + `-`,
		`import "my file" -o "json"`:   `my file|-o|json`,
	} {
		statements, _ := shell.Parse(text)
		st := statements[0]
		cmd, _, err := root.Find([]string{st.Words[0].Text})
		if err != nil {
			t.Fatal(err)
		}
		args, err := clauses(nil, cmd, st, st.Words[1:])
		if have := strings.Join(args, "|"); err != nil || have != want {
			t.Errorf("%s\nhave %s, %v\nwant %s", text, have, err, want)
		}
	}
}

// What Tab offers: of commands, flags, what flags take, keyspaces, and where keys.
func TestShell_Completes(t *testing.T) {
	db := filepath.Join(t.TempDir(), "my.db")
	setup := `put city:1 {"name":"Paris","pop":2,"geo":{"lat":48,"lon":2}}; put city:2 {"odd name":1,"pop":1}; put list {"list":[1,{"b":2}]}; ` +
		"keyspace create logs; put u:logs c -k logs; put user:1 a; put user:2 b; put '" + strings.Repeat("u", 300) + "' long"
	if status := run([]string{"shell", db, "--write", "-q", "-c", setup}, &ui.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}); status != 0 {
		t.Fatal(status)
	}
	opened, err := engine.Open(db, &engine.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := &shell.Session{}
	s.Start()
	h := &session{app: newApp(t.Context(), &ui.Streams{Out: new(bytes.Buffer)}), arg: db, shell: s, db: opened}
	words := strings.Join(query.Words(), " ")
	for text, want := range map[string]string{
		"":                 "begin commit rollback exit",
		"sca":              "scan",
		"shell":            "", // not for the shell
		"bench":            "",
		"comp":             "compact",
		"stress-w":         "",
		"get --def":        "--default",
		"get --keys":       "--keyspace --keys",
		"get -o js":        "json jsonl",
		"get -K he":        "hex",
		"get -k ":          "logs",
		"get --keyspace l": "logs",
		"get -qk l":        "logs",
		".keyspace ":       "logs",
		"keyspace ":        "create drop list",
		"keyspace drop l":  "logs",
		"inspect k":        "key",
		"get ":             "KEYS",
		"get a ":           "KEYS",
		"get --default ":   "",
		"get --default x ": "KEYS",
		"get --default=x ": "KEYS",
		"put ":             "KEYS",
		"set ":             "KEYS",
		"put k ":           "",
		"inspect key ":     "KEYS",
		"scan --prefix ":   "KEYS",
		"nothing ":         "",
		"help exi":         "exit-codes exit", // topics, and all commands
		"help imp":         "import",
		"help ro":          "rollback",
		"help keyspace ":   "create drop list",
		"help where ":      "",
		"help nothing ":    "",
		"help --js":        "--json",

		// Clauses, each once, where one may begin.
		"scan -r ":                     "where select limit reverse KEYS",
		"scan user: ":                  "where select limit reverse",
		"count user: ":                 "where",
		"delete a b ":                  "where KEYS",
		"delete a where .b ":           "",
		"scan where .a == \"FR\" sel":  "select",
		"scan where .a == \"x y\" ":    "select limit reverse",
		"scan where .a =":              "",
		"scan limit ":                  "",
		"scan limit 3 select .a ":      "where reverse",
		"scan where .a -o ":            "table text json jsonl csv tsv line raw null db_dump sql md",
		"scan city: where .a -o json ": "select limit reverse",
		"get where ":                   "KEYS",

		// In expressions, fields of the values that are there, and the words of the language.
		"scan city: where ":                    ".\"odd name\" .geo .geo. .name .pop " + words,
		"scan city: where .pop":                ".pop",
		"scan city: where .name == ":           ".\"odd name\" .geo .geo. .name .pop " + words,
		"scan city: where (.n":                 "(.name",
		"scan city: where (.geo.l":             "(.geo.lat (.geo.lon",
		"scan where .pop==.n":                  ".pop==.name",
		"scan where .pop ==.n":                 "==.name",
		"scan city: select .name,.":            ".name,.\"odd name\" .name,.geo .name,.geo. .name,.name .name,.pop",
		"scan city: select .geo.":              ".geo.lat .geo.lon",
		"scan select .list[1].":                ".list[1].b",
		"scan city: where .name.":              "",
		"scan where .":                         ".\"odd name\" .geo .geo. .list .name .pop",
		"scan --count-by .p":                   ".pop",
		"scan --prefix 'city:' where .":        ".\"odd name\" .geo .geo. .name .pop",
		"scan --from list where .":             ".list",
		"scan --from=list --count-by .":        ".list",
		"scan --from=\"list\" -k logs where .": "",
		"export --start list --where .":        ".list",
		"scan nothing where .":                 "",
		"scan where .name | st":                "startswith(",
		"scan where .name |st":                 "|startswith(",
		"count where .name|t":                  ".name|true .name|type .name|tostring .name|tonumber .name|test(",
		"scan where any(.list[]; . == nu":      "null",
		"scan where .pop > 1 and $k":           "$key",
		"scan select $k":                       "$key",
		"scan select .name, .pop, $s":          "$size",
		"delete where $v":                      "$value",
		"export --where a":                     "any any( all all(",
		"scan --select $":                      "$key $size $value",
		"scan where .name s":                   "select",
		"scan where (.name s":                  "",
		"scan where .name = s":                 "",
	} {
		statements, _ := shell.Parse(text + "\u2588")
		words := statements[0].Words
		last := len(words) - 1
		typed := strings.TrimSuffix(words[last].Text, "\u2588")
		names, keys := h.Complete(words[:last], typed)
		var have []string
		for _, name := range names {
			if strings.HasPrefix(name, typed) && (typed != "" || last > 0 || len(have) < 4) {
				have = append(have, name)
			}
		}
		if keys != nil {
			have = append(have, "KEYS")
		}
		if have := strings.Join(slices.Compact(have), " "); have != want {
			t.Errorf("%q: have %q, want %q", text, have, want)
		}
	}
	// Behind an open quote.
	for typed, want := range map[string][]string{
		`'.pop > 1 and .n`: {"'.pop > 1 and .name"}, `".pop > 1 and .n`: nil, `'.pop .n`: nil, `'.name | le`: {"'.name | length"}, `'$k`: {"'$key"},
	} {
		statements, _ := shell.Parse("count city: --where")
		names, _ := h.Complete(statements[0].Words, typed)
		if names = slices.Compact(slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, typed) })); !slices.Equal(names, want) {
			t.Errorf("%s: have %q, want %q", typed, names, want)
		}
	}
	for _, flag := range []string{"-k logs", "-klogs", "-qk logs", "--keyspace=logs", "--keyspace logs", "--keyspace 'logs'"} {
		statements, _ := shell.Parse("get " + flag + " a")
		_, find := h.Complete(statements[0].Words, "u")
		if keys, _ := find([]byte("u"), 9); len(keys) != 1 || string(keys[0]) != "u:logs" {
			t.Errorf("%s: %q", flag, keys)
		}
	}
	if keys, more := h.keysOf(nil)([]byte("user:"), 1); len(keys) != 2 || !more || string(keys[1]) != "user:2" {
		t.Errorf("%q %v", keys, more)
	}
	if keys, more := h.keysOf(nil)([]byte("u"), 9); len(keys) != 2 || more {
		t.Errorf("%q %v", keys, more)
	}
}

// What the settings of the shell may be is what the flags may be.
func TestShell_Choices(t *testing.T) {
	db := filepath.Join(t.TempDir(), "my.db")
	for setting, values := range map[string][]string{"mode": entryFormats, "values": encodings} {
		for _, value := range values {
			var errs bytes.Buffer
			statement := fmt.Sprintf(".%s %s; .show", setting, value)
			if status := run([]string{"shell", db, "--write", "-q", "-c", statement}, &ui.Streams{Out: new(bytes.Buffer), Err: &errs}); status != 0 {
				t.Errorf("%s: %s", statement, errs.String())
			}
		}
	}
}
