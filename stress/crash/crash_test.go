package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/stress"
	"github.com/lightning-db/lightning/verify"
)

const (
	childVar = "LIGHTNING_CRASH_CHILD" // makes this program a writer
	hangVar  = "LIGHTNING_CRASH_HANG"  // makes it hang
	slowVar  = "LIGHTNING_CRASH_SLOW"  // makes the writer begin later than any is killed
)

func hang() { time.Sleep(time.Hour) }

func TestMain(m *testing.M) {
	if os.Getenv(hangVar) != "" {
		hang()
	}
	if text := os.Getenv(childVar); text != "" {
		if os.Getenv(slowVar) != "" {
			time.Sleep(300 * time.Millisecond)
		}
		var c stress.Child
		err := json.Unmarshal([]byte(text), &c)
		if err == nil {
			err = stress.RunChild(context.Background(), c)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestSim(t *testing.T) {
	for level := 1; level <= 3; level++ {
		t.Run(fmt.Sprint("level ", level), func(t *testing.T) {
			ticks := 0
			o := Options{Seed: 1, Count: 1500, Jobs: 2, Level: level, Dir: t.TempDir(), Tick: func(Report) { ticks++ }}
			report, err := Sim(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			if report.States < o.Count || report.Recoveries == 0 || report.Losses.Names == 0 || report.Losses.Sectors == 0 || report.Promised == 0 || ticks == 0 {
				t.Errorf("%+v", report)
			}
			t.Logf("%+v", report)
		})
	}
}

// The same seed makes the same operations, whatever else the machine does, so
// that a state can be met again by its number.
func TestLife_SameSeed_SameOperations(t *testing.T) {
	const seeds = 6
	var traces [3][seeds]string
	var wg sync.WaitGroup
	for i := range traces {
		wg.Go(func() {
			for seed := range traces[i] {
				l := newLife(uint64(seed), noFault)
				if err := l.play(); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				traces[i][seed] = strings.Join(l.sim.Trace(), "\n")
				if v := l.sim.Violations(); len(v) > 0 {
					t.Errorf("seed %d: %v", seed, v)
				}
			}
		})
	}
	wg.Wait()
	// Where two goroutines of a database race for a lock, the order may be another
	// on a machine that is busy. It is seldom: only of seed 3 has that been seen.
	var others []string
	for seed, want := range traces[0] {
		for _, trace := range traces[1:] {
			if trace[seed] != want {
				others = append(others, fmt.Sprintf("seed %d: %s", seed, difference(want, trace[seed])))
				break
			}
		}
	}
	if len(others) > seeds/6 {
		t.Errorf("other operations:\n%s", strings.Join(others, "\n"))
	}
}

func difference(want, have string) string {
	w, h := strings.Split(want, "\n"), strings.Split(have, "\n")
	for i := range min(len(w), len(h)) {
		if w[i] != h[i] {
			return fmt.Sprintf("%d: have %s, want %s", i+1, h[i], w[i])
		}
	}
	return fmt.Sprintf("have %d operations, want %d", len(h), len(w))
}

func TestSelfTests_FindEveryFault(t *testing.T) {
	for seed := uint64(1); seed <= 2; seed++ {
		n := 0
		all, err := SelfTests(context.Background(), Options{Seed: seed * 1000, Jobs: 2, Level: 1}, func(s SelfTest) {
			n++
			t.Logf("%s: %d states: %v", s.Broken, s.States, s.Err)
		})
		if err != nil || !all || n != len(faults)-1 {
			t.Errorf("seed %d: %v, %v", seed, all, err)
		}
	}
}

// What a state shows it shows again when it is tried alone.
func TestSim_Repeats(t *testing.T) {
	for fault := logSyncs; int(fault) < len(faults); fault++ {
		o := Options{Seed: 1, Count: selfStates, Level: 2, fault: fault}
		_, err := Sim(context.Background(), o)
		var f *Failure
		if !errors.As(err, &f) {
			t.Fatalf("%s: %v", faults[fault], err)
		}
		if _, err := fmt.Sscanf(f.Repeat, "lightning crashtest --mode sim --seed %d --state %d", &o.Seed, &o.State); err != nil {
			t.Fatal(f.Repeat, err)
		}
		report, again := Sim(context.Background(), o)
		if again == nil || again.Error() != err.Error() {
			t.Errorf("%s: %s shows %v, not %v", faults[fault], f.Repeat, again, err)
		}
		if report.States > 0 {
			t.Errorf("others were tried, too: %+v", report)
		}
	}
}

// What is kept of a failure is what the crash left, and may be looked at.
func TestFailure_IsKept(t *testing.T) {
	l := newLife(5, noFault)
	if err := l.play(); err != nil {
		t.Fatal(err)
	}
	for i := range l.commits { // of which the database knows nothing
		l.commits[i].contents = l.commits[i].contents.with([]edit{{key: "never", value: "v"}})
	}
	l.begun = l.sim.Ops()
	limit, stop := context.WithCancel(context.Background())
	c := &crasher{run: &run{Options: Options{Dir: t.TempDir(), Level: 1}, limit: limit, stop: stop}, life: l, seed: 5}
	err := c.states()
	var f *Failure
	if !errors.As(err, &f) || !strings.Contains(err.Error(), `"never"`) {
		t.Fatal(err)
	}
	report, err := verify.Run(context.Background(), filepath.Join(f.Dir, dbDir), verify.Options{})
	if err != nil || !report.OK {
		t.Errorf("%+v, %v", report, err)
	}
	text, err := os.ReadFile(filepath.Join(f.Dir, "failure.txt"))
	if err != nil || !strings.Contains(string(text), f.Repeat) || !strings.Contains(string(text), "sync db/wal/") {
		t.Errorf("%s, %v", text, err)
	}
}

// A run that tried nothing shows nothing.
func TestSim_WithoutACrash(t *testing.T) {
	for _, o := range []Options{{Seed: 7, State: 999_999}, {Seed: 7, Duration: 1}} {
		o.Dir = t.TempDir()
		if report, err := Sim(context.Background(), o); err == nil {
			t.Errorf("%+v: %+v", o, report)
		}
	}
}

// A panic is a failure as any other: it is kept, with what repeats it.
func TestSim_KeepsAPanic(t *testing.T) {
	l := newLife(5, noFault)
	l.sim.Before = func(faultfs.Op) bool { panic("at once") }
	limit, stop := context.WithCancel(context.Background())
	c := &crasher{run: &run{Options: Options{Dir: t.TempDir(), Level: 1}, limit: limit, stop: stop}, life: l, seed: 5}
	var f *Failure
	if err := c.all(); !errors.As(err, &f) || !strings.Contains(err.Error(), "panic: at once") || !strings.Contains(f.Repeat, "--seed 5") {
		t.Fatal(err)
	}
}

// Each damage meets everything that crashes take turns in.
func TestCrasher_Turns(t *testing.T) {
	met := map[[2]int]bool{}
	c := &crasher{}
	for moment := range 2 * deeper {
		for damage := range damages {
			c.state++
			met[[2]int{damage, c.turn(&spot{moment: moment}) % deeper}] = true
		}
	}
	if len(met) != damages*deeper {
		t.Errorf("%d of %d pairs of a damage and a turn", len(met), damages*deeper)
	}
	turns := map[int]bool{} // in the recovery from one crash
	for moment := range 2 * deeper {
		turns[c.turn(&spot{moment: moment, outer: &spot{}})%deeper] = true
	}
	if len(turns) != deeper {
		t.Errorf("crashes of a recovery have %d turns of %d", len(turns), deeper)
	}
}

func TestContents(t *testing.T) {
	c := contents{{}}
	c1 := c.with([]edit{{key: "b", value: "1"}, {key: "a", value: "2"}, {key: "d", value: "3"}, {key: "b", value: "4"}})
	c2 := c1.with([]edit{{kind: create, space: "s"}, {space: "s", key: "x"}, {kind: removeRange, key: "b", value: "d"}, {kind: remove, key: "z"}})
	c3 := c2.with([]edit{{kind: removeRange, key: "b"}, {kind: remove, key: "a"}, {kind: drop, space: "s"}})
	for i, want := range []string{
		`[{ []}]`, `[{ [{a 2} {b 4} {d 3}]}]`, `[{ [{a 2} {d 3}]} {s [{x }]}]`, `[{ []}]`,
	} {
		if have := fmt.Sprint([]contents{c, c1, c2, c3}[i]); have != want {
			t.Errorf("%d: have %s, want %s", i, have, want)
		}
	}
}

func TestKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	slow := ""
	o := Options{Seed: 1, Count: 12, Jobs: 2, Dir: t.TempDir(), Start: func(c stress.Child, stderr *os.File) (*os.Process, error) {
		text, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		leash, err := stress.Leash()
		if err != nil {
			return nil, err
		}
		return os.StartProcess(self, []string{self}, &os.ProcAttr{
			Env: append(os.Environ(), childVar+"="+string(text), slowVar+"="+slow), Files: []*os.File{leash, nil, stderr},
		})
	}}
	report, err := Kill(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if report.States < o.Count || report.Promised == 0 || report.Recovered == 0 {
		t.Errorf("%+v", report)
	}
	t.Logf("%+v", report)
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := Kill(context.Background(), Options{}); err == nil {
		t.Error("without a way to start a writer")
	}

	// On a machine that is long about starting them some write all the same.
	slow, o.Count, o.Jobs = "yes", 3, 1
	if report, err = Kill(context.Background(), o); err != nil || report.States != o.Count {
		t.Errorf("%+v, %v of writers that begin late", report, err)
	}

	// Writers that write nothing can lose nothing.
	o.Count, o.Jobs, o.Start = 2, 2, func(stress.Child, *os.File) (*os.Process, error) {
		return os.StartProcess(self, []string{self}, &os.ProcAttr{Env: append(os.Environ(), hangVar+"=1"), Files: make([]*os.File, 3)})
	}
	if report, err = Kill(context.Background(), o); err == nil || report.States < o.Count {
		t.Errorf("%+v, %v of writers that write nothing", report, err)
	}
}

// A limit of time or of cycles ends no judgement: what fails then is kept. An
// interrupt may be why it fails.
func TestKeep_AfterTheLimit(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		ctx, interrupt := context.WithCancel(context.Background())
		defer interrupt()
		_, err := do(ctx, Options{Count: 1, Dir: t.TempDir()}, func(ctx context.Context, r *run, i uint64) error {
			dir, err := r.newDir("test", i)
			if err != nil {
				return err
			}
			r.add(Report{States: 1})
			if interrupted {
				interrupt()
			}
			return r.keep(ctx, &Failure{Err: errors.New("it hangs"), Dir: dir}, "")
		})
		var f *Failure
		if errors.As(err, &f) == interrupted {
			t.Errorf("interrupted %t: %v", interrupted, err)
		}
	}
}
