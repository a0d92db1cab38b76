package content

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// The digests are those of Python's hashlib.blake2b(b"a" * n, digest_size=32).
func TestBlake2b(t *testing.T) {
	for n, want := range map[int]string{
		0:    "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8",
		1:    "8928aae63c84d87ea098564d1e03ad813f107add474e56aedd286349c0c03ea4",
		127:  "59e2f1aba240f20aa591016f5ef429990bc9c2131dcd0d30f0ffd75ed18f317d",
		128:  "ae2aa48507885c4c950fb809b2076f959cde9f8ea6da260d9a3587df33dac450",
		129:  "2f64744a6de0d2c0b56e64cf6e29a5aaa255010d415d51c75ccc82f73dccd865",
		256:  "eae4d3a7627549b383179dc18049964f91a6fed14c9f3fb26705eda3eeda5558",
		257:  "496943de3c8b1458635ee30c15bb26cede6957abdd28f0a860cdaf967116c747",
		1000: "e00b0ddbf1e2cdaf5c898e1a5e8826ea3a2c339bcf2a478da2e5fca9ff126672",
	} {
		for _, piece := range []int{1, 7, 64, 127, 128, 129, 5000} {
			d := NewDigest("")
			for part := range slices.Chunk(bytes.Repeat([]byte{'a'}, n), piece) {
				d.write(part)
			}
			sum := d.Sum()
			if have := hex.EncodeToString(sum[:]); have != want {
				t.Errorf("%d bytes, %d at a time: %s, want %s", n, piece, have, want)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		var s Sizes
		var all []int
		for range 1 + rnd.IntN(500) {
			size := rnd.IntN(1 << rnd.IntN(31))
			all = append(all, size)
			s.Add(size)
		}
		slices.Sort(all)
		for _, q := range []int64{1, 50, 90, 99, 100} {
			want := int64(all[max(0, (len(all)*int(q)+99)/100-1)])
			if have := s.Quantile(q); have < want*99/100 || have > want*101/100+1 {
				t.Fatalf("p%d of %d sizes is %d, want %d", q, len(all), have, want)
			}
		}
		var n int64
		for i := range s.Digits() + 1 {
			n += s.Span(i).Count
		}
		if n != s.Count || s.Max != int64(all[len(all)-1]) {
			t.Fatalf("the spans have %d of %d sizes; the largest is %d, want %d", n, s.Count, s.Max, all[len(all)-1])
		}
	}
	var none Sizes
	if none.Quantile(50) != 0 || none.Digits() != 0 {
		t.Fatal("no sizes have a quantile")
	}
}

// Diff agrees with a comparison of maps, whatever the layout and wherever the
// values are, and the digests are equal exactly when it finds nothing.
func TestDiff_AgreesWithMaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for round := range 60 {
		var maps [2]map[string]string
		var snapshots [2]*engine.Snapshot
		for i := range maps {
			maps[i] = map[string]string{}
			db, err := engine.Open("db", &engine.Options{FS: vfs.NewMem(), PageSize: 1024 << rnd.IntN(3)})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for range rnd.IntN(40) {
				key := fmt.Sprint(rnd.IntN(12))
				value := strings.Repeat("v", []int{0, 1, 5000}[rnd.IntN(3)]) + fmt.Sprint(rnd.IntN(2))
				maps[i][key] = value
				if err := db.Put([]byte(key), []byte(value)); err != nil {
					t.Fatal(err)
				}
				if rnd.IntN(9) == 0 {
					if _, err := db.Checkpoint(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if snapshots[i], err = db.Snapshot(); err != nil {
				t.Fatal(err)
			}
			defer snapshots[i].Close()
		}
		var want []string
		for _, key := range strings.Fields("0 1 10 11 2 3 4 5 6 7 8 9") {
			before, was := maps[0][key]
			after, is := maps[1][key]
			switch {
			case was && !is:
				want = append(want, "-"+key+" "+before+" ")
			case is && !was:
				want = append(want, "+"+key+"  "+after)
			case was && before != after:
				want = append(want, "~"+key+" "+before+" "+after)
			}
		}
		var have []string
		var signs [Same + 1]int
		value := func(it *engine.Iterator) []byte {
			if it == nil {
				return nil
			}
			return it.Value()
		}
		err := Diff(t.Context(), snapshots[0], snapshots[1], engine.IterOptions{}, func(c Change, key []byte, a, b *engine.Iterator) error {
			if signs[c]++; c != Same {
				have = append(have, fmt.Sprintf("%c%s %s %s", "-+~"[c], key, value(a), value(b)))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(have, want) || signs[Removed]+signs[Changed]+signs[Same] != len(maps[0]) {
			t.Fatalf("round %d: %q, want %q; %v", round, have, want, signs)
		}
		have = nil
		err = Diff(t.Context(), nil, snapshots[1], engine.IterOptions{Start: []byte("3"), End: []byte("5")}, func(c Change, key []byte, a, b *engine.Iterator) error {
			have = append(have, fmt.Sprint(int(c), " ", string(key), " ", a == nil))
			return nil
		})
		n := 0
		for _, key := range []string{"3", "4"} {
			if _, ok := maps[1][key]; ok {
				n++
			}
		}
		if err != nil || len(have) != n || n > 0 && !strings.HasPrefix(have[0], "1 ") {
			t.Fatalf("round %d: beside nothing: %q, %v", round, have, err)
		}
		var sums [2][DigestSize]byte
		for i, s := range snapshots {
			d := NewDigest("")
			for key, value := range s.Scan(nil, nil) {
				d.Add(len(key), key, value)
			}
			sums[i] = d.Sum()
		}
		if (sums[0] == sums[1]) != (len(want) == 0) {
			t.Fatalf("round %d: digests %x, with differences %q", round, sums, want)
		}
	}
}
