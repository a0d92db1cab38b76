//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/figure"
)

// roundTrips are the ways out of a database, a.db, and into a new one, b.db, that
// lose nothing: what is tested, and a command of sh.
const roundTrips = `
json    lightning export a.db f.json; lightning import b.db f.json
json    lightning export a.db f.json -V json; lightning import b.db f.json
json    lightning scan a.db -o json -K hex | lightning import b.db - --from json
jsonl   lightning export a.db f.jsonl.zst -V json; lightning import b.db f.jsonl.zst
jsonl   lightning export a.db f.jsonl.gz -K quoted -V base64; lightning import b.db f.jsonl.gz
jsonl   lightning scan a.db -o jsonl -K u64 -V u64 | lightning import b.db - --from jsonl
csv     lightning export a.db f.csv; lightning import b.db f.csv
csv     lightning export a.db f.csv -K base64 -V quoted; lightning import b.db f.csv --sorted
csv     lightning scan a.db -o csv | lightning import b.db - --from csv
tsv     lightning export a.db f.tsv; lightning import b.db f.tsv
tsv     lightning export a.db f.tsv.gz -K hex -V hex; lightning import b.db f.tsv.gz
tsv     lightning scan a.db -o tsv -K quoted | lightning import b.db - --from tsv
db_dump lightning export a.db f.dump; lightning import b.db f.dump
db_dump lightning export a.db f.dump.gz -V quoted; lightning import b.db f.dump.gz
db_dump lightning export a.db --all f.dump; lightning import b.db f.dump
db_dump lightning scan a.db -o db_dump | lightning import b.db - --from db_dump
pairs   lightning export a.db --to pairs | lightning import b.db - --from pairs
batch   lightning scan a.db -K quoted -V quoted | sed 's/^/put /' | lightning batch b.db
shell   lightning scan a.db -K quoted -V quoted | sed 's/^/put /' | lightning shell b.db --write --sync off
patch   lightning put b.db "other key" x; lightning diff b.db a.db -o jsonl | lightning batch b.db
backup  lightning backup a.db - | lightning restore b.db -
copy    lightning copy a.db b.db
delete  lightning copy a.db b.db; lightning put b.db "other key" x; lightning scan a.db --keys -K quoted | lightning delete b.db --keys-from - -K quoted --yes && lightning copy a.db b.db; lightning delete b.db "other key"
delete  lightning copy a.db b.db; lightning scan a.db --keys -0 -K quoted | lightning delete b.db --keys-from - -0 -K quoted --yes && lightning copy a.db b.db
`

// Whatever the bytes of keys and values, what a format claims to keep comes back:
// the digest of the content is the same.
func TestRoundTrip_RandomBytes(t *testing.T) {
	seeds := figure.Times(1)
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Chdir(t.TempDir())
			entries := oddEntries(rand.New(rand.NewPCG(seed, 7)))
			db, err := engine.Open("a.db", nil)
			if err != nil {
				t.Fatal(err)
			}
			b := db.NewBatch()
			for key, value := range entries {
				err = errors.Join(err, b.Put([]byte(key), []byte(value)))
			}
			if err := errors.Join(err, db.Apply(t.Context(), b), db.Close()); err != nil {
				t.Fatal(err)
			}
			want := hashOf(t, "a.db")
			for line := range strings.Lines(strings.TrimSpace(roundTrips)) {
				_, command, _ := strings.Cut(line, " ")
				if out, err := exec.Command("sh", "-ec", command).CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", command, err, out)
				} else if have := hashOf(t, "b.db"); have != want {
					diff, _ := exec.Command("lightning", "diff", "a.db", "b.db", "-K", "quoted", "-V", "quoted").Output()
					t.Errorf("%s: it comes back as\n%.2000s", command, diff)
				}
				if err := errors.Join(os.RemoveAll("b.db"), exec.Command("sh", "-c", "rm -f f.*").Run()); err != nil {
					t.Fatal(err)
				}
			}
			// One value alone comes out byte for byte.
			for key, value := range entries {
				out, err := exec.Command("lightning", "get", "a.db", "-K", "hex", fmt.Sprintf("%x", key)).Output()
				if err != nil || string(out) != value {
					t.Errorf("get of %q: have %q, %v, want %q", key, out, err, value)
				}
				if delete(entries, key); len(entries)%50 == 0 {
					break
				}
			}
		})
	}
	figure.Log(t, "round trips", seeds*strings.Count(strings.TrimSpace(roundTrips), "\n"))
}

// oddEntries makes keys and values out of what formats have a meaning for, and
// out of any bytes.
func oddEntries(r *rand.Rand) map[string]string {
	pieces := []string{
		"\x00", "\n", "\r", "\r\n", "\t", `"`, `\`, ",", "'", " ", "|", ";", "\xff", "\xc3", "é", "\u2028", "\ufeff", "\x1b", "\x7f", "\u0080",
		"#", "{", "}", "[", "]", ":", "=", "-", "0", "1", "n", "x'00'", "u64(1)", `\u0041`, `\n`, "null", "key", "value", "VERSION=3", "DATA=END", "HEADER=END",
	}
	text := func() string {
		var b bytes.Buffer
		for range r.IntN(6) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		return b.String()
	}
	noise := func() string {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	entries := map[string]string{}
	for range 1000 {
		entries[text()] = text()
		entries[noise()] = noise()
	}
	for i, document := range []string{`{"a": 1}`, "{\"a\":\n1}", `"text"`, " 1", "1 ", "1.50", "-0", `{"a":1,"a":2}`, `"\ud800"`, "\"\xff\"", "12345678901234567890", `"\u0000"`, "null", "\"\u0080\""} {
		entries[fmt.Sprint("json", i)] = document
	}
	entries["long"] = strings.Repeat("\x00long,\"\n", 30_000)
	return entries
}

func hashOf(t *testing.T, db string) string {
	t.Helper()
	out, err := exec.Command("lightning", "hash", db).Output()
	if err != nil {
		t.Fatalf("hash %s: %v", db, err)
	}
	return string(out)
}
