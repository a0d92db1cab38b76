package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// healthRig is a database whose health is asked for.
type healthRig struct {
	*metricsRig
}

// wants makes sure that exactly these checks fail, and what the first says.
func (r *healthRig) wants(when string, checks ...string) engine.HealthFinding {
	r.t.Helper()
	h, err := r.db.Health()
	if err != nil {
		r.t.Fatalf("%s: %v", when, err)
	}
	var have []string
	for _, f := range h.Findings {
		have = append(have, f.Check)
		if f.Reason == "" || f.Remedy == "" || strings.ContainsAny(f.Reason+f.Remedy, "\n!") {
			r.t.Errorf("%s: no reason or no remedy on one line: %+v", when, f)
		}
	}
	if !slices.Equal(have, checks) {
		r.t.Fatalf("%s: have %+v, want %q", when, h.Findings, checks)
	}
	if len(h.Unknown) > 0 {
		r.t.Errorf("%s: the process that writes does not know %q", when, h.Unknown)
	}
	if len(checks) == 0 {
		return engine.HealthFinding{}
	}
	return h.Findings[0]
}

func (r *healthRig) checkpoint() {
	r.t.Helper()
	mustPut(r.t, r.db, "k", "v")
	_, err := r.db.Checkpoint(context.Background())
	r.do("checkpoint", err)
}

// TestHealth: each finding is seen for its cause, at the default limits, and is
// gone when its cause is.
func TestHealth(t *testing.T) {
	warmUp()
	for name, play := range map[string]func(*healthRig){
		"failed": healthFailed, "checkpoint that fails": healthFailedCheckpoint, "slow checkpoint": healthSlowCheckpoint, "log": healthLog,
		"cache": healthCache, "errors": healthErrors, "disk": healthDisk, "snapshot": healthSnapshot, "limits": healthLimits,
		"refused": healthRefused, "refused but for deletes": healthRefusedButDeletes, "refused, too large": healthRefusedLarge,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &healthRig{&metricsRig{t: t}}
				defer func() { _ = r.db.Close() }() // where play ends the test
				play(r)
				_ = r.db.Close()
				if _, err := r.db.Health(); !errors.Is(err, engine.ErrClosed) {
					t.Errorf("of a closed database: %v", err)
				}
			})
		})
	}
}

// A checkpoint may take a second, and no moment more, or as long as Options.Health
// says. The engine makes it by itself: who asked for one would wait for a lock,
// and the clock stand still.
func healthSlowCheckpoint(r *healthRig) {
	for _, tc := range []struct {
		limit, took time.Duration
		found       []string
	}{
		{0, time.Second, nil},
		{0, time.Second + 2, []string{"checkpoint"}},
		{2, 2, nil},
		{1, 2, []string{"checkpoint"}},
		{time.Hour, time.Minute, nil},
	} {
		r.open(engine.Options{
			Sync: engine.SyncOff, MemtableBytes: 16 << 10, SyncInterval: time.Hour, Health: engine.HealthLimits{CheckpointTime: tc.limit},
		})
		slow(r.in, faultfs.OpSync, "btree.db", tc.took/2) // there are two in a checkpoint
		for i := 0; r.db.Stats().Frozen == 0; i++ {
			mustPut(r.t, r.db, keyOf("k", i), valueOf("k", i, 100))
		}
		time.Sleep(10 * time.Minute)
		if n := r.db.Stats().Checkpoints; n != 1 {
			r.t.Fatalf("%d checkpoints", n)
		}
		if f := r.wants(fmt.Sprintf("%+v", tc), tc.found...); f.Stops {
			r.t.Errorf("it stops nothing: %+v", f)
		}
		r.in.SetHook(nil)
		closeDB(r.t, r.db)
	}
}

func healthFailed(r *healthRig) {
	r.open(full)
	r.checkpoint()
	r.wants("at first")
	r.in.FailNth(1, syscall.EIO, false, faultfs.OpSync)
	if err := r.db.Put([]byte("a"), nil); !errors.Is(err, engine.ErrFailed) {
		r.t.Fatal(err)
	}
	if f := r.wants("after a sync that failed", "failed", "errors"); !f.Stops {
		r.t.Errorf("it stops nothing: %+v", f)
	}
}

func healthFailedCheckpoint(r *healthRig) {
	r.open(full)
	mustPut(r.t, r.db, "k", strings.Repeat("v", 100_000))
	r.in.SetHook(noTree)
	if _, err := r.db.Checkpoint(context.Background()); !errors.Is(err, engine.ErrNoSpace) {
		r.t.Fatal(err)
	}
	for range 3 { // it is tried again, in vain
		if f := r.wants("after a checkpoint met a full disk", "checkpoint", "errors"); !f.Stops || !strings.Contains(f.Remedy, "room") {
			r.t.Errorf("%+v", f)
		}
		synctest.Wait()
	}
	r.in.SetHook(nil)
	r.wants("with room again", "checkpoint", "errors")
	synctest.Wait() // nobody commits, nor asks for a checkpoint: Health did
	time.Sleep(2 * time.Minute)
	r.wants("after one that succeeded", "errors")
	time.Sleep(2 * time.Minute)
	r.wants("later", "errors") // by the older of the two marks
	time.Sleep(2 * time.Minute)
	r.wants("at last")
}

func healthLog(r *healthRig) {
	r.open(engine.Options{Sync: engine.SyncOff, MaxWALBytes: 100 << 10})
	release := make(chan struct{})
	end := sync.OnceFunc(func() { close(release) })
	defer end() // where the test fails before: Close waits for the checkpoint
	r.in.SetHook(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync && strings.HasSuffix(op.Name, "btree.db") {
			<-release
		}
		return nil
	})
	fill := func(to uint64) {
		for i := 0; r.db.Stats().LogBytes < to; i++ {
			mustPut(r.t, r.db, keyOf("k", i), valueOf("k", i, 100))
		}
	}
	fill(79 << 10)
	r.wants("with less than 80 % of the log")
	fill(83 << 10)
	if f := r.wants("with more", "log"); !strings.Contains(f.Reason, "83 %") {
		r.t.Errorf("%+v", f)
	}
	reader := &healthRig{&metricsRig{t: r.t, db: open(r.t, dbDir, engine.Options{FS: r.in, ReadOnly: true, MaxWALBytes: 100 << 10})}}
	h, err := reader.db.Health()
	if err != nil || len(h.Findings) != 1 || h.Findings[0].Check != "log" || len(h.Unknown) == 0 {
		r.t.Errorf("a reader sees %+v, %v", h, err)
	}
	closeDB(r.t, reader.db)
	end()
	r.checkpoint()
	r.wants("after a checkpoint")
	r.in.SetHook(nil)
}

func healthCache(r *healthRig) {
	o := engine.Options{Sync: engine.SyncOff, CacheBytes: 64 << 10}
	r.open(o)
	const n = 10_000
	for i := range n {
		mustPut(r.t, r.db, keyOf("k", i), valueOf("k", i, 100))
	}
	r.checkpoint()
	rng := rand.New(rand.NewPCG(1, 2))
	get := func(times, of int) {
		for range times {
			i := rng.IntN(of)
			wantValue(r.t, r.db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 100)))
		}
	}
	get(500, n)
	r.wants("after a few reads")
	get(n, n)
	r.wants("after many of more than the cache holds", "cache")
	for enough := false; !enough; get(100, 100) { // which it holds: more and more are hits
		s := r.db.Stats()
		enough = float64(s.CacheHits) >= 0.8*float64(s.CacheHits+s.CacheMisses)
		if h, err := r.db.Health(); err != nil || enough != (len(h.Findings) == 0) {
			r.t.Fatalf("with %d hits and %d misses: %+v, %v", s.CacheHits, s.CacheMisses, h, err)
		}
	}
	for range 3 {
		time.Sleep(time.Minute)
		get(n, 100)
		h, err := r.db.Health()
		if err != nil || len(h.Findings) > 1 {
			r.t.Fatal(h, err)
		}
	}
	r.wants("when little is read")
	for range 20 {
		_, err := r.db.Backup(context.Background(), io.Discard, nil)
		r.do("backup", err)
	}
	r.wants("after backups, which are read past the cache")
}

func healthErrors(r *healthRig) {
	r.open(full)
	for i := range 2000 {
		_, err := r.db.Get([]byte(keyOf("none", i)))
		if !errors.Is(err, engine.ErrNotFound) {
			r.t.Fatal(err)
		}
	}
	wrong := func() {
		if err := r.db.Put(make([]byte, engine.MaxKeySize+1), nil); !errors.Is(err, engine.ErrTooLarge) {
			r.t.Fatal(err)
		}
	}
	wrong()
	wrong()
	r.wants("with 2 errors in 2002")
	wrong()
	f := r.wants("with 3", "errors")
	if !strings.Contains(f.Reason, "3 of 2003 operations") {
		r.t.Errorf("%+v", f)
	}
}

func healthDisk(r *healthRig) {
	r.open(engine.Options{MemtableBytes: 1 << 20})
	r.checkpoint()
	synctest.Wait() // no segment is being made
	used := r.in.Fill()
	need := int64(4<<20 + 8<<10) // and a little less, for what is free in the file
	r.in.SetCapacity(used + 2*need)
	r.wants("with room for two checkpoints")
	r.in.SetCapacity(used + 2*need - 200<<10)
	if f := r.wants("with less", "disk"); !strings.Contains(f.Reason, "7.82 MiB are free") {
		r.t.Errorf("%+v", f)
	}
}

// anyErrors are limits by which errors are no finding.
var anyErrors = engine.HealthLimits{Errors: 1}

// refusedPuts puts until it was refused some times for want of space. It returns
// how many were not.
func (r *healthRig) refusedPuts(times int) (made int) {
	r.t.Helper()
	for i := 0; times > 0; i++ {
		switch err := r.db.Put([]byte(keyOf("k", i)), make([]byte, 1000)); {
		case errors.Is(err, engine.ErrNoSpace):
			times--
		case err != nil || i > 1000:
			r.t.Fatalf("put %d: %v", i, err)
		default:
			made++
		}
	}
	return made
}

// A disk that has no room for the log refuses commits, while checkpoints go on,
// as they take what is free in btree.db: that stops writes, until one is made, or
// there is seen to be room for one, for which asking is enough.
func healthRefused(r *healthRig) {
	for _, sync := range []engine.SyncMode{engine.SyncFull, engine.SyncNormal, engine.SyncOff} {
		r.open(engine.Options{Sync: sync, SegmentBytes: 64 << 10, Health: anyErrors})
		r.in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpAllocate)
		if r.refusedPuts(1) == 0 {
			r.t.Fatal("no put was made")
		}
		for _, when := range []string{"refused", "later", "after a checkpoint"} {
			if f := r.wants(when, "disk"); !f.Stops || !strings.Contains(f.Reason, "refused") || !strings.Contains(f.Remedy, "room") {
				r.t.Errorf("%s: %+v", when, f)
			}
			synctest.Wait()
			if when == "later" {
				_, err := r.db.Checkpoint(context.Background())
				r.do("checkpoint", err)
			}
		}
		r.in.FailNth(0, nil, false)
		mustPut(r.t, r.db, "k", "v")
		r.wants("one is made")

		r.in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpAllocate)
		r.refusedPuts(3)
		r.wants("refused again", "disk")
		synctest.Wait()
		r.in.FailNth(0, nil, false)
		time.Sleep(time.Hour)
		r.wants("nobody has looked yet", "disk")
		synctest.Wait()
		r.wants("there is room")
		closeDB(r.t, r.db)
	}
}

// noTree lets no write of btree.db find room.
func noTree(op faultfs.Op) error {
	if op.Kind == faultfs.OpWrite && strings.HasSuffix(op.Name, "btree.db") {
		return vfs.ErrNoSpace
	}
	return nil
}

// Deletes that are made with what is kept for a full disk do not say that there is
// room for anything else.
func healthRefusedButDeletes(r *healthRig) {
	r.open(engine.Options{SegmentBytes: 1 << 20, Health: anyErrors})
	for i := range 3 << 10 { // for segments that want more than the ballast
		mustPut(r.t, r.db, keyOf("k", i), strings.Repeat("v", 1<<10))
	}
	r.in.SetHook(noTree) // else a checkpoint might make room, sooner or later
	fillDisk(r.t, r.in, r.db)
	synctest.Wait()
	kept := func() bool { return fileSize(r.in, dbDir+"/ballast") == ballastBytes }
	for i := 0; kept(); i++ {
		if i == 1000 {
			r.t.Fatal("what is kept was not needed")
		}
		r.do("delete", r.db.Delete([]byte(keyOf("k", i))))
		synctest.Wait()
	}
	for range 3 {
		h, err := r.db.Health()
		r.do("health", err)
		if len(h.Findings) != 2 || h.Findings[0].Check != "checkpoint" || h.Findings[1].Check != "disk" || !h.Findings[1].Stops {
			r.t.Fatalf("only deletes were made: %+v", h.Findings)
		}
		synctest.Wait()
	}
	r.in.SetHook(nil)
	r.in.SetCapacity(1 << 30)
	mustPut(r.t, r.db, "k", "v")
	_, err := r.db.Checkpoint(context.Background())
	r.do("checkpoint", err)
	r.wants("a put was made")
}

// A commit that is larger than the disk says nothing of others.
func healthRefusedLarge(r *healthRig) {
	r.open(engine.Options{SegmentBytes: 64 << 10, Health: anyErrors})
	mustPut(r.t, r.db, "k", "v")
	r.in.SetCapacity(1 << 20)
	if err := r.db.Put([]byte("k"), make([]byte, 2<<20)); !errors.Is(err, engine.ErrNoSpace) {
		r.t.Fatal(err)
	}
	if f := r.wants("refused", "disk"); !f.Stops {
		r.t.Errorf("%+v", f)
	}
	synctest.Wait()
	if f := r.wants("there is room for others", "disk"); f.Stops {
		r.t.Errorf("%+v", f)
	}
}

func healthSnapshot(r *healthRig) {
	r.open(full)
	r.checkpoint()
	s, err := r.db.Snapshot()
	r.do("snapshot", err)
	time.Sleep(24 * time.Hour)
	r.wants("an old snapshot of what is newest")
	r.checkpoint()
	time.Sleep(time.Hour - time.Second)
	r.wants("one that holds what was replaced less than an hour ago")
	time.Sleep(2 * time.Second)
	if f := r.wants("after an hour", "snapshot"); !strings.Contains(f.Reason, "for 1h0m1s") {
		r.t.Errorf("%+v", f)
	}
	s.Close()
	r.wants("closed")
}

// Other limits are as good as the defaults.
func healthLimits(r *healthRig) {
	r.open(engine.Options{Health: engine.HealthLimits{
		CheckpointTime: time.Hour, LogShare: 1e-9, Errors: 1, DiskCheckpoints: 1e6, SnapshotAge: time.Nanosecond,
	}})
	r.checkpoint()
	s, err := r.db.Snapshot()
	r.do("snapshot", err)
	defer s.Close()
	r.checkpoint()
	time.Sleep(time.Second)
	mustPut(r.t, r.db, "k", "v")
	if err := r.db.Put(make([]byte, engine.MaxKeySize+1), nil); !errors.Is(err, engine.ErrTooLarge) {
		r.t.Fatal(err)
	}
	r.wants("with small limits", "log", "disk", "snapshot")
}

func ExampleDB_Health() {
	db, err := engine.Open("my.db", &engine.Options{FS: vfs.NewMem()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	health, err := db.Health()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range health.Findings {
		fmt.Println(f.Check, f.Reason, f.Remedy)
	}
	fmt.Println(len(health.Findings), "findings")
	// Output: 0 findings
}
