package driver_test

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/lightning-db/lightning/bench/internal/driver"
	"github.com/lightning-db/lightning/bench/internal/workload"
)

// each runs a test on every driver in the program, at both durabilities.
func each(t *testing.T, c driver.Config, fn func(t *testing.T, open func() driver.DB)) {
	for _, d := range driver.Available() {
		for _, durability := range []driver.Durability{driver.Crash, driver.Full} {
			t.Run(fmt.Sprintf("%s/%d", d.Name, durability), func(t *testing.T) {
				c.Durability, c.CacheBytes, c.DataBytes = durability, 16<<20, 256<<20
				dir := filepath.Join(t.TempDir(), "db")
				fn(t, func() driver.DB {
					db, err := d.Open(dir, c)
					if err != nil {
						t.Fatal(err)
					}
					return db
				})
			})
		}
	}
}

func session(t *testing.T, db driver.DB) driver.Session {
	t.Helper()
	s, err := db.Session()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// model is what a database is to hold.
type model map[string]string

// scan is what Session.Scan is to show.
func (m model) scan(from []byte, n int, reverse bool) (shown []string) {
	keys := slices.Sorted(maps.Keys(m))
	if reverse {
		slices.Reverse(keys)
	}
	for _, key := range keys {
		before := from != nil && key < string(from)
		if reverse {
			before = from != nil && key > string(from)
		}
		if !before && len(shown) < n {
			shown = append(shown, key+"="+m[key])
		}
	}
	return shown
}

// check compares all that a session shows with the model.
func check(t *testing.T, s driver.Session, m model, r *workload.Rand) {
	t.Helper()
	key := make([]byte, workload.KeySize)
	for i := range uint64(400) {
		workload.RandomKey(key, i)
		have, found, err := s.Get([]byte("before "), key)
		must(t, err)
		want, there := m[string(key)]
		if found != there || found && string(have) != "before "+want {
			t.Fatalf("Get(%s) is %.40q, %v; want %.40q, %v", key, have, found, want, there)
		}
	}
	froms := [][]byte{nil, []byte("0"), []byte("zzz")}
	for range 10 {
		workload.RandomKey(key, r.N(400)) // some are there and some are not
		froms = append(froms, slices.Clone(key))
	}
	for _, from := range froms {
		for _, n := range []int{0, 1, 7, 1 << 30} {
			for _, reverse := range []bool{false, true} {
				var have []string
				seen, err := s.Scan(from, n, reverse, func(key, value []byte) {
					have = append(have, string(key)+"="+string(value))
				})
				must(t, err)
				if want := m.scan(from, n, reverse); !slices.Equal(have, want) || seen != len(want) {
					t.Fatalf("Scan(%q, %d, %v) shows %d entries and returns %d, want %d: %.80q, want %.80q", from, n, reverse, len(have), seen, len(want), have, want)
				}
			}
		}
	}
}

// TestSession_KeepsToTheModel: what a database shows after random operations,
// after Settle, Compact, and another Open, is what a map would.
func TestSession_KeepsToTheModel(t *testing.T) {
	each(t, driver.Config{Workers: 1, Transactions: true}, func(t *testing.T, open func() driver.DB) {
		db := open()
		s := session(t, db)
		m, r := model{}, workload.Rand(1)
		values := workload.NewValues(100_000)
		value := func() []byte {
			v := values.At(r.Uint64())
			if r.N(20) == 0 {
				return v // larger than any buffer
			}
			return v[:1+r.N(300)]
		}
		put := func(n int) (keys, vals [][]byte) {
			for len(keys) < n {
				key := make([]byte, workload.KeySize)
				workload.RandomKey(key, r.N(400))
				if slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
					continue
				}
				v := value()
				keys, vals = append(keys, key), append(vals, v)
				m[string(key)] = string(v)
			}
			return keys, vals
		}
		for range 300 {
			switch r.N(4) {
			case 0:
				keys, vals := put(1)
				must(t, s.Put(keys[0], vals[0]))
			case 1:
				must(t, s.PutBatch(put(5)))
			case 2:
				_, err := s.Tx(put(2))
				must(t, err)
			case 3:
				key := make([]byte, workload.KeySize)
				workload.RandomKey(key, r.N(400))
				must(t, s.Delete(key))
				delete(m, string(key))
			}
		}
		check(t, s, m, &r)
		must(t, s.Close())
		must(t, db.Settle())
		s = session(t, db)
		check(t, s, m, &r)
		must(t, s.Close())
		must(t, db.Compact())
		s = session(t, db)
		check(t, s, m, &r)
		must(t, s.Close())
		must(t, db.Close())

		db = open()
		s = session(t, db)
		check(t, s, m, &r)
		must(t, s.Close())
		must(t, db.Close())
	})
}

// TestSession_ShowsAnEmptyDatabase: there is nothing to get and to scan.
func TestSession_ShowsAnEmptyDatabase(t *testing.T) {
	each(t, driver.Config{Workers: 1}, func(t *testing.T, open func() driver.DB) {
		db := open()
		s := session(t, db)
		r := workload.Rand(2)
		check(t, s, model{}, &r)
		must(t, s.Close())
		must(t, db.Close())
	})
}

// TestSession_ManyAtOnce: sessions write at once, and nothing is lost.
func TestSession_ManyAtOnce(t *testing.T) {
	const workers, each1 = 8, 50
	each(t, driver.Config{Workers: workers, Writers: workers, Transactions: true}, func(t *testing.T, open func() driver.DB) {
		db := open()
		var wg sync.WaitGroup
		errs := make(chan error, 3*workers)
		for w := range workers {
			s := session(t, db)
			wg.Go(func() {
				key, v := make([]byte, workload.KeySize), []byte("value")
				shared := [][]byte{[]byte("a shared key ..."), []byte("and another one ")}
				for i := range each1 {
					workload.RandomKey(key, uint64(i*workers+w))
					errs <- s.Put(key, v)
					_, err := s.Tx(shared, [][]byte{v, v})
					errs <- err
				}
				errs <- s.Close()
			})
		}
		go func() { wg.Wait(); close(errs) }()
		for err := range errs {
			must(t, err)
		}
		s := session(t, db)
		seen, err := s.Scan(nil, 1<<30, false, func(_, _ []byte) {})
		must(t, err)
		if want := workers*each1 + 2; seen != want {
			t.Errorf("there are %d entries, want %d", seen, want)
		}
		must(t, s.Close())
		must(t, db.Close())
	})
}
