package workload

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightning-db/lightning/bench/internal/driver"
)

func TestRandomKey_AllDifferentInNoOrder(t *testing.T) {
	const n = 100_000
	seen := map[string]bool{}
	rising := 0
	var before []byte
	for i := range uint64(n) {
		key := make([]byte, KeySize)
		RandomKey(key, i)
		if strings.Trim(string(key), "0123456789abcdef") != "" {
			t.Fatalf("key %d is %q: want hexadecimal digits", i, key)
		}
		seen[string(key)] = true
		if bytes.Compare(before, key) < 0 {
			rising++
		}
		before = key
	}
	if len(seen) != n {
		t.Errorf("%d of %d keys are different", len(seen), n)
	}
	if rising < n*49/100 || rising > n*51/100 {
		t.Errorf("%d of %d keys follow a smaller one: want about half", rising, n)
	}
}

func TestOrderedKey_InOrder(t *testing.T) {
	var before []byte
	for _, i := range []uint64{0, 1, 9, 10, 11, 99, 100, 123456789, 9999999999999999} {
		key := make([]byte, KeySize)
		OrderedKey(key, i)
		if bytes.Compare(before, key) >= 0 {
			t.Errorf("key %d is %q, which does not follow %q", i, key, before)
		}
		before = key
	}
	if want := "9999999999999999"; string(before) != want {
		t.Errorf("the last is %q, want %q", before, want)
	}
}

func TestRand_N_IsEven(t *testing.T) {
	var r Rand
	const n, draws = 10, 100_000
	var counts [n]int
	for range draws {
		counts[r.N(n)]++
	}
	for i, c := range counts {
		if c < draws/n*95/100 || c > draws/n*105/100 {
			t.Errorf("%d came %d times of %d: want about %d", i, c, draws, draws/n)
		}
	}
}

func TestValues_AreOfTheirSizeAndDiffer(t *testing.T) {
	v := NewValues(100)
	seen := map[string]bool{}
	for i := range uint64(1000) {
		value := v.At(i)
		if len(value) != 100 {
			t.Fatalf("value %d has %d bytes", i, len(value))
		}
		seen[string(value)] = true
	}
	if len(seen) < 990 {
		t.Errorf("%d of 1000 values are different", len(seen))
	}
}

// TestZipf_DrawsAsItsLawSays: the shares of the first ranks, and of the first
// tenth, are those of the distribution.
func TestZipf_DrawsAsItsLawSays(t *testing.T) {
	const n, draws = 10_000, 1_000_000
	zeta := func(k int) (sum float64) {
		for i := 1; i <= k; i++ {
			sum += math.Pow(float64(i), -Theta)
		}
		return sum
	}
	z := NewZipf(n, Theta)
	r := Rand(1)
	counts := make([]float64, n)
	for _, rank := range z.Ranks(&r, draws) {
		counts[rank]++ // panics when a rank is out of range
	}
	share := func(k int) (sum float64) {
		for _, c := range counts[:k] {
			sum += c
		}
		return sum / draws
	}
	// The method is exact for the first two ranks and near for the others.
	for k, tolerance := range map[int]float64{1: 0.01, 2: 0.01, 100: 0.05, n / 10: 0.05} {
		have, want := share(k), zeta(k)/zeta(n)
		if math.Abs(have-want) > tolerance*want {
			t.Errorf("the first %d ranks have a share of %.4f, want %.4f", k, have, want)
		}
	}
}

// TestHistogram_QuantilesAreNearThoseOfTheSortedList.
func TestHistogram_QuantilesAreNearThoseOfTheSortedList(t *testing.T) {
	var h, part Histogram
	r := Rand(1)
	var all []int64
	for i := range 100_000 {
		ns := int64(math.Exp(r.Float() * 20)) // 1 ns to half a second
		all = append(all, ns)
		if i%2 == 0 {
			h.Record(ns)
		} else {
			part.Record(ns)
		}
	}
	h.Add(&part)
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		rank := max(int(math.Ceil(q*float64(len(all)))), 1)
		have, want := h.Quantile(q), float64(all[rank-1])
		if math.Abs(have-want) > want/64 {
			t.Errorf("the quantile %v is %v, want %v to 1/64", q, have, want)
		}
	}
}

func TestHistogram_Edges(t *testing.T) {
	var empty Histogram
	if q := empty.Quantile(0.5); q != 0 {
		t.Errorf("the median of nothing is %v", q)
	}
	var h Histogram
	h.Record(-1) // a clock that went back
	h.Record(math.MaxInt64)
	if low, high := h.Quantile(0.5), h.Quantile(1); low != 0 || math.Abs(high/math.MaxInt64-1) > 0.016 {
		t.Errorf("quantiles are %v and %v, want 0 and about %v", low, high, float64(math.MaxInt64))
	}
	for v := uint64(1); v < 1<<20; v++ {
		if have := value(bucket(v)); math.Abs(have-float64(v)) > float64(v)/64 {
			t.Fatalf("%d is counted as %v", v, have)
		}
	}
}

// wrong is a database that has every key, and the values of others.
type wrong struct{ driver.DB }

func (wrong) Session() (driver.Session, error) { return wrongSession{}, nil }

type wrongSession struct{ driver.Session }

func (wrongSession) Get(dst, _ []byte) ([]byte, bool, error) {
	return append(dst, make([]byte, 100)...), true, nil
}

// TestWarm_ChecksValues: a value of the right length is not enough.
func TestWarm_ChecksValues(t *testing.T) {
	found, err := Find(List(1000), []string{"readrandom1"})
	if err != nil {
		t.Fatal(err)
	}
	crew, err := NewCrew(wrong{}, found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := crew.Warm(time.Millisecond); err == nil {
		t.Error("Warm takes values that were never put")
	}
}

// TestList_NamesAreUnique: a name chooses one workload or one group.
func TestList_NamesAreUnique(t *testing.T) {
	all := List(1_000_000)
	names := map[string]bool{}
	for _, g := range Groups {
		names[g.Name] = true
	}
	used := map[string]bool{}
	for _, w := range all {
		if names[w.Name] {
			t.Errorf("the name %q is used twice", w.Name)
		}
		names[w.Name] = true
		used[w.Group] = true
	}
	for _, g := range Groups {
		if !used[g.Name] {
			t.Errorf("the group %q is empty", g.Name)
		}
	}
	for _, w := range all {
		if !slices.ContainsFunc(Groups, func(g struct{ Name, Title string }) bool { return g.Name == w.Group }) {
			t.Errorf("workload %q is in a group %q that is not in Groups", w.Name, w.Group)
		}
	}
	if _, err := Find(all, []string{"fillseq", "nothing"}); err == nil {
		t.Error("Find finds a workload that is not there")
	}
	found, err := Find(all, []string{"sync", "fillsync8", "tx"})
	if err != nil || len(found) != 4 {
		t.Errorf("Find returns %d workloads and %v, want 4", len(found), err)
	}
}
