package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
)

// What du estimates from a tenth of the keys or less is near what it counts: by
// what it says of that, of nearly all prefixes. What was written last is not in
// the tree; some of that replaces or deletes what is.
func TestDu_Sample(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	db, err := engine.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(7, 7))
	const kinds = 12 // each twice as frequent as the one before
	key := func() []byte {
		kind := kinds - 1 - int(min(math.Log2(1+float64(random.IntN(1<<kinds))), kinds-1))
		return fmt.Appendf(nil, "k%02d:%06d", kind, random.IntN(1_000_000))
	}
	write := func(entries int) {
		b := db.NewBatch()
		for range entries {
			err = errors.Join(err, b.Put(key(), make([]byte, random.IntN(200))))
		}
		err = errors.Join(err, db.Apply(t.Context(), b))
	}
	for range 12 {
		write(10_000)
	}
	if _, err := db.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(10_000)
	b := db.NewBatch()
	b.DeleteRange([]byte("k00:3"), []byte("k00:4"))
	for i := range 6_000 { // all in one place
		err = errors.Join(err, b.Put(fmt.Appendf(nil, "k02:500000:%05d", i), make([]byte, 100)))
	}
	if err := errors.Join(err, db.Apply(t.Context(), b), db.Close()); err != nil {
		t.Fatal(err)
	}

	type row struct {
		Keys       float64 `json:"keys"`
		KeysError  float64 `json:"keys_error"`
		Bytes      float64 `json:"bytes"`
		BytesError float64 `json:"bytes_error"`
		Prefix     string  `json:"prefix"`
	}
	rows := func(args string) map[string]row {
		status, out, message := runHere(t.Context(), nil, strings.Fields("du "+dir+" -n 0 -o json "+args)...)
		var list []row
		if err := json.Unmarshal([]byte(out), &list); status != 0 || err != nil {
			t.Fatalf("status %d, %v, %s", status, err, message)
		}
		of := map[string]row{}
		for _, r := range list {
			of[r.Prefix] = r
		}
		return of
	}
	all := rows("")
	looked, missed := 0, 0
	for _, n := range []int{50, 100, 101, 150, 151, 200, 201, 202} {
		for prefix, r := range rows(fmt.Sprint("--sample ", n)) {
			want := all[prefix]
			looked++
			if math.Abs(r.Keys-want.Keys) > r.KeysError || math.Abs(r.Bytes-want.Bytes) > r.BytesError {
				missed++
				t.Logf("sample of %d: %+v, want %+v", n, r, want)
			}
			if want.Keys > 20_000 && (r.KeysError > 0.3*want.Keys || r.KeysError == 0) {
				t.Errorf("sample of %d: %+v says little of %+v", n, r, want)
			}
		}
	}
	if looked < 60 || missed > looked/10 {
		t.Errorf("%d of %d estimates are off by more than they say", missed, looked)
	}
	if rows("--sample 100000")["k00:"].KeysError != 0 {
		t.Error("with all the pieces it is not exact")
	}
}
