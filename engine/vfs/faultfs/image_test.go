package faultfs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine/vfs"
)

// seeds is how many crashes a test of chance looks at. What it wants to see
// has a chance of a few percent in each, so that seeing it never is a fault.
const seeds = 2_000

func TestImage_None_KeepsEverythingIssued(t *testing.T) {
	s := NewSim()
	f := create(t, s, "/a")
	write(t, f, 0, "data")
	ok(t, s.Rename("/a", "/b"))
	want(t, s, s.Ops(), None, "/b=data")
	want(t, s, 2, None, "/a=data")
	want(t, s, 1, None, "/a=")
	want(t, s, 0, None)
}

func TestImage_All_KeepsOnlyWhatWasSynced(t *testing.T) {
	s := NewSim()
	f := create(t, s, "/a")
	write(t, f, 0, "synced")
	ok(t, f.Sync())
	ok(t, s.SyncDir("/"))
	write(t, f, 3, "lost data")
	ok(t, s.Rename("/a", "/b"))
	create(t, s, "/c")
	want(t, s, s.Ops(), All, "/a=synced")
	ok(t, s.SyncDir("/"))
	want(t, s, s.Ops(), All, "/b=synced", "/c=")
	ok(t, f.Sync())
	want(t, s, s.Ops(), All, "/b=synlost data", "/c=")
}

func TestImage_Random_UnsyncedWriteIsLostKeptOrTorn(t *testing.T) {
	s, f := syncedFile(t, strings.Repeat("o", 1024))
	write(t, f, 0, strings.Repeat("n", 1024))
	seen := make(map[string]int)
	for data := range crashes(t, s) {
		seen[sector(data[:512], 'n')+" "+sector(data[512:], 'n')]++
	}
	for _, first := range []string{"old", "new", "zero", "garbage"} {
		for _, second := range []string{"old", "new", "zero", "garbage"} {
			if seen[first+" "+second] == 0 {
				t.Errorf("sectors never are %s and %s: %v", first, second, seen)
			}
		}
	}
}

// sector says what happened to a sector that was 'o' and was written with
// what.
func sector(data string, what byte) string {
	switch {
	case strings.Trim(data, "o") == "":
		return "old"
	case strings.Trim(data, string(what)) == "":
		return "new"
	case strings.Trim(data, "\x00") == "":
		return "zero"
	}
	return "garbage"
}

func TestImage_Random_TearsNothingOutsideTheWrite(t *testing.T) {
	s, f := syncedFile(t, strings.Repeat("o", 2048))
	write(t, f, 700, strings.Repeat("n", 500)) // parts of two sectors
	changed, first := 0, 0
	for data := range crashes(t, s) {
		if strings.Trim(data[:700]+data[1200:], "o") != "" || len(data) != 2048 {
			t.Fatalf("bytes outside the write changed: %q", data)
		}
		if strings.Trim(data, "o") != "" {
			changed++
		}
		if sector(data[700:1024], 'n') == "new" && sector(data[1024:1200], 'n') == "old" {
			first++
		}
	}
	if changed == 0 || first == 0 {
		t.Errorf("the write is seen %d times, its first sector alone %d times", changed, first)
	}
}

func TestImage_Random_WritesReachTheDiskInAnyOrder(t *testing.T) {
	s, f := syncedFile(t, "ooo")
	write(t, f, 0, "11")
	write(t, f, 1, "22")
	seen := make(map[string]int)
	for data := range crashes(t, s) {
		seen[data]++
	}
	for _, w := range []string{"ooo", "11o", "o22", "122", "112"} {
		if seen[w] == 0 {
			t.Errorf("%q never is what is left: %v", w, seen)
		}
	}
}

func TestImage_Random_LengthIsIndependentOfData(t *testing.T) {
	s, f := syncedFile(t, "old")
	write(t, f, 3, "new")
	seen := make(map[string]int)
	for data := range crashes(t, s) {
		seen[data]++
	}
	for _, w := range []string{"old", "oldnew", "old\x00\x00\x00"} {
		if seen[w] == 0 {
			t.Errorf("%q never is what is left: %v", w, seen)
		}
	}

	s, f = syncedFile(t, "longer")
	ok(t, f.Truncate(2))
	seen = make(map[string]int)
	for data := range crashes(t, s) {
		seen[data]++
	}
	for _, w := range []string{"lo", "longer", "lo\x00\x00\x00\x00"} {
		if seen[w] == 0 {
			t.Errorf("%q never is what is left of a cut file: %v", w, seen)
		}
	}
}

func TestImage_Random_AllocatedBytesAreThereOrNot(t *testing.T) {
	s, f := syncedFile(t, "old")
	ok(t, f.Allocate(0, 5))
	seen := make(map[string]int)
	for data := range crashes(t, s) {
		seen[data]++
	}
	if len(seen) != 2 || seen["old"] == 0 || seen["old\x00\x00"] == 0 {
		t.Errorf("have %v", seen)
	}
}

func TestImage_Random_SyncedDataIsNeverLost(t *testing.T) {
	s, f := syncedFile(t, strings.Repeat("o", 3000))
	other := create(t, s, "/other")
	ok(t, s.SyncDir("/"))
	write(t, f, 1000, strings.Repeat("n", 1000))
	ok(t, f.Sync())
	write(t, other, 0, "unsynced")
	write(t, f, 2500, "unsynced")
	wantStart := strings.Repeat("o", 1000) + strings.Repeat("n", 1000) + strings.Repeat("o", 500)
	for data := range crashes(t, s) {
		if !strings.HasPrefix(data, wantStart) {
			t.Fatalf("synced data changed: %q", data)
		}
	}
}

func TestImage_Random_SyncIsOfOneFile(t *testing.T) {
	s, f := syncedFile(t, "o")
	other := create(t, s, "/other")
	ok(t, s.SyncDir("/"))
	write(t, f, 0, "n")
	ok(t, other.Sync())
	seen := make(map[string]int)
	for data := range crashes(t, s) {
		seen[data]++
	}
	if seen["o"] == 0 || seen["n"] == 0 {
		t.Errorf("the sync of another file decided over this one: %v", seen)
	}
}

func TestImage_Random_NamesNeedSyncDir(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, s *Sim)
		want []string // all the sets of names there can be
	}{
		{"create", func(t *testing.T, s *Sim) {
			ok(t, create(t, s, "/new").Sync()) // says nothing of the name
		}, []string{"a b", "a b new="}},
		{"mkdir", func(t *testing.T, s *Sim) {
			ok(t, s.Mkdir("/dir"))
			create(t, s, "/dir/file")
			ok(t, s.SyncDir("/dir")) // says nothing of the directory's own name
		}, []string{"a b", "a b dir/file="}},
		{"remove", func(t *testing.T, s *Sim) { ok(t, s.Remove("/a")) }, []string{"b", "a b"}},
		{"two removed", func(t *testing.T, s *Sim) {
			ok(t, s.Remove("/a"))
			ok(t, s.Remove("/b"))
		}, []string{"", "a", "b", "a b"}},
		{"rename", func(t *testing.T, s *Sim) { ok(t, s.Rename("/a", "/c")) }, []string{"a b", "b c=A", "a b c=A"}},
		{"rename over", func(t *testing.T, s *Sim) { ok(t, s.Rename("/a", "/b")) }, []string{"a b", "b=A", "a b=A"}},
		{"rename of an unsynced name", func(t *testing.T, s *Sim) {
			create(t, s, "/tmp")
			ok(t, s.Rename("/tmp", "/b"))
		}, []string{"a b", "a b tmp=", "a b=", "a b= tmp="}},
		{"rename, then the old name again", func(t *testing.T, s *Sim) {
			ok(t, s.Rename("/a", "/c"))
			create(t, s, "/a")
		}, []string{"a b", "b c=A", "a b c=A", "a= b c=A"}},
		{"renamed twice, then the first name again", func(t *testing.T, s *Sim) {
			ok(t, s.Rename("/a", "/c"))
			ok(t, s.Rename("/c", "/d"))
			create(t, s, "/a")
		}, []string{
			"a b", "a b c=A", "a b d=A", "b c=A", "b d=A", "a b c=A d=A", "b c=A d=A",
			"a= b c=A", "a= b d=A", "a= b c=A d=A",
		}},
		{"renamed, replaced there, then the old name again", func(t *testing.T, s *Sim) {
			ok(t, s.Rename("/a", "/c"))
			ok(t, s.Rename("/b", "/c"))
			create(t, s, "/a")
		}, []string{
			"a b", "b c=A", "a b c=A", "a c=B", "a b c=B", "c=B", "b c=B",
			"a= b c=A", "a= c=B", "a= b c=B",
		}},
		{"directory", func(t *testing.T, s *Sim) {
			ok(t, s.Mkdir("/dir"))
			create(t, s, "/dir/file")
			ok(t, s.SyncDir("/dir"))
			ok(t, s.SyncDir("/"))
			ok(t, s.Rename("/dir", "/moved"))
		}, []string{"a b dir/file=", "a b moved/file="}},
		{"synced", func(t *testing.T, s *Sim) {
			ok(t, s.Rename("/a", "/c"))
			create(t, s, "/d")
			ok(t, s.SyncDir("/"))
		}, []string{"b c=A d="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSim()
			for _, name := range []string{"a", "b"} {
				f := create(t, s, "/"+name)
				write(t, f, 0, strings.ToUpper(name))
				ok(t, f.Sync())
			}
			ok(t, s.SyncDir("/"))
			c.do(t, s)
			seen := make(map[string]int)
			for seed := range int64(seeds) {
				seen[names(t, s.Image(s.Ops(), Random(seed)))]++
			}
			for have := range seen {
				if !slices.Contains(c.want, have) {
					t.Errorf("impossible names %q", have)
				}
			}
			for _, want := range c.want {
				if seen[want] == 0 {
					t.Errorf("never have names %q: %v", want, seen)
				}
			}
		})
	}
}

// names describes an image: each name, with the content where that is not the
// name in capitals.
func names(t *testing.T, m *vfs.Mem) string {
	var out []string
	for _, name := range m.Names() {
		name = strings.ReplaceAll(name, `\`, "/")
		data, err := m.ReadFile(name)
		ok(t, err)
		base := name[1:]
		if string(data) != strings.ToUpper(base) {
			base += "=" + string(data)
		}
		out = append(out, base)
	}
	return strings.Join(out, " ")
}

func TestImage_Random_RenameAcrossDirectories(t *testing.T) {
	for _, c := range []struct {
		synced string
		want   []string
	}{
		{"", []string{"/old/f", "/new/f", "/new/f /old/f"}},
		{"/old", []string{"/new/f"}},
		{"/new", []string{"/new/f", "/new/f /old/f"}},
	} {
		s := NewSim()
		ok(t, s.Mkdir("/old"))
		ok(t, s.Mkdir("/new"))
		create(t, s, "/old/f")
		ok(t, s.SyncDir("/"))
		ok(t, s.SyncDir("/old"))
		ok(t, s.Rename("/old/f", "/new/f"))
		if c.synced != "" {
			ok(t, s.SyncDir(c.synced))
		}
		seen := make(map[string]int)
		for seed := range int64(seeds) {
			seen[strings.ReplaceAll(strings.Join(s.Image(s.Ops(), Random(seed)).Names(), " "), `\`, "/")]++
		}
		for have := range seen {
			if !slices.Contains(c.want, have) {
				t.Errorf("after SyncDir(%q): impossible names %q", c.synced, have)
			}
		}
		for _, want := range c.want {
			if seen[want] == 0 {
				t.Errorf("after SyncDir(%q): never have %q: %v", c.synced, want, seen)
			}
		}
	}
}

// Two names of one file, as a half-done rename leaves them, are one file for
// whoever recovers.
func TestImage_Random_BothNamesAreOneFile(t *testing.T) {
	s, _ := syncedFile(t, "data")
	ok(t, s.Rename("/f", "/g"))
	for seed := range int64(seeds) {
		m := s.Image(s.Ops(), Random(seed))
		if len(m.Names()) == 2 {
			ok(t, m.WriteFile("/g", []byte("changed")))
			if data, _ := m.ReadFile("/f"); string(data) != "changed" {
				t.Fatalf("a write under one name left %q under the other", data)
			}
			return
		}
	}
	t.Error("never saw both names")
}

// The image must be the same whichever moments were asked for before, and
// however far apart.
func TestImage_DependsOnItsArgumentsOnly(t *testing.T) {
	s := scenario(t, 600)
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, 0))
	first := make(map[string]string)
	for range 500 {
		n, d := rnd.IntN(s.Ops()+1), Damages(4, seed)[rnd.IntN(4)]
		key := fmt.Sprint(n, d)
		have := describe(t, s.Image(n, d))
		if before, again := first[key]; again && before != have {
			t.Fatalf("seed %d: Image(%d, %v) gave two images", seed, n, d)
		}
		first[key] = have
	}
	fresh := NewSim()
	replayInto(t, s, fresh)
	for key, want := range first {
		var n int
		var d string
		fmt.Sscan(key, &n, &d)
		for _, damage := range Damages(4, seed) {
			if damage.String() == d && describe(t, fresh.Image(n, damage)) != want {
				t.Fatalf("the same journal gives another Image(%d, %v)", n, damage)
			}
		}
	}
}

// What a program sees is what None leaves, at every moment: the journal tells
// the whole story.
func TestImage_None_IsWhatProgramsSaw(t *testing.T) {
	saw := make(map[int]string)
	s := scenario(t, 400, func(s *Sim) { saw[s.Ops()] = describe(t, s) })
	for n, want := range saw {
		if have := describe(t, s.Image(n, None)); have != want {
			t.Fatalf("after %d operations\nhave %.200s\nwant %.200s", n, have, want)
		}
	}
}

// After everything was synced no damage is left to do.
func TestImage_AfterSyncOfAll_NothingIsLost(t *testing.T) {
	s := scenario(t, 500)
	bases, err := s.List("/")
	ok(t, err)
	for _, base := range bases {
		f, err := s.Open("/"+base, vfs.ReadWrite)
		ok(t, err)
		ok(t, f.Sync())
	}
	ok(t, s.SyncDir("/"))
	want := describe(t, s)
	for _, d := range Damages(50, 1) {
		if have := describe(t, s.Image(s.Ops(), d)); have != want {
			t.Fatalf("%v: have %.200s\nwant %.200s", d, have, want)
		}
	}
}

func TestDamages_BeginWithTheExtremes(t *testing.T) {
	have := Damages(4, 10)
	if want := []Damage{None, All, Random(12), Random(13)}; !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
	if have := Damages(1, 10); !slices.Equal(have, []Damage{None}) {
		t.Errorf("have %v", have)
	}
}

// crashes yields the content of /f after each of many crashes of now.
func crashes(t *testing.T, s *Sim) func(func(string) bool) {
	return func(yield func(string) bool) {
		for seed := range int64(seeds) {
			data, err := s.Image(s.Ops(), Random(seed)).ReadFile("/f")
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !yield(string(data)) {
				return
			}
		}
	}
}
