package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// The failure model (docs/DURABILITY.md), a test for each row that says what is
// promised; from F8 on in damage_test.go, from F16 on in kills_test.go. TestCrash, TestIOError and TestFlip_EveryByte show the same over
// every operation, call and byte.

// F1: a process that is killed loses nothing that it acknowledged, in any sync
// mode; the next open says what it recovered, and needs no help.
func TestF01_ProcessKilled(t *testing.T) {
	if dir := os.Getenv("LIGHTNING_F01_DIR"); dir != "" {
		writeUntilKilled(dir, os.Getenv("LIGHTNING_F01_SYNC"))
		return
	}
	for _, mode := range []engine.SyncMode{engine.SyncFull, engine.SyncNormal, engine.SyncOff} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "db")
			for round := range 3 {
				acked := killWriter(t, dir, mode, 40)
				db := open(t, dir, engine.Options{Sync: mode})
				if r := db.OpenReport(); r.Commits == 0 || r.Clean || r.Created {
					t.Errorf("report after a kill: %+v", r)
				}
				for i := range acked {
					wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 100)))
				}
				if round == 1 {
					closeDB(t, db)
					continue
				}
				if _, err := db.Checkpoint(context.Background()); err != nil {
					t.Fatal(err)
				}
				closeDB(t, db)
			}
		})
	}
}

// writeUntilKilled commits, and tells of each commit when it is acknowledged.
func writeUntilKilled(dir, sync string) {
	mode, err := engine.ParseSyncMode(sync)
	if err != nil {
		panic(err)
	}
	db, err := engine.Open(dir, &engine.Options{Sync: mode, SegmentBytes: 64 << 10, MemtableBytes: 16 << 10})
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := db.Put([]byte(keyOf("k", i)), []byte(valueOf("k", i, 100))); err != nil {
			panic(err)
		}
		fmt.Println("acknowledged", i)
	}
}

// killWriter runs writeUntilKilled in a process of its own, kills it after so
// many commits, and returns how many it was told of.
func killWriter(t *testing.T, dir string, mode engine.SyncMode, after int) (acked int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestF01_ProcessKilled$")
	cmd.Env = append(os.Environ(), "LIGHTNING_F01_DIR="+dir, "LIGHTNING_F01_SYNC="+mode.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var i int
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &i); err != nil {
			continue
		}
		if acked = i + 1; acked == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if acked < after {
		t.Fatalf("the writer ended after %d commits", acked)
	}
	return acked
}

// F2: a power cut in a write leaves a torn end of the log, which is cut off
// without a flag or a question, and reported.
func TestF02_PowerCut(t *testing.T) {
	sp := uncleanSpecimen(t)
	f, err := sp.disk.Open(sp.lastLog, vfs.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 100), sp.lastOff+100); err != nil { // a sector that did not get there
		t.Fatal(err)
	}
	db := openOn(t, sp.disk)
	if r := db.OpenReport(); r.TornBytes == 0 || r.Clean {
		t.Errorf("report: %+v", r)
	}
	n := len(sp.hist.commits) - 2
	if _, err := sp.hist.find(db, n, n); err != nil {
		t.Error(err)
	}
	closeDB(t, db)
	db = openOn(t, sp.disk)
	if r := db.OpenReport(); r.TornBytes != 0 || !r.Clean {
		t.Errorf("report of the open after: %+v", r)
	}
	closeDB(t, db)
}

func openOn(t *testing.T, disk vfs.FS) *engine.DB {
	t.Helper()
	o := small(full)
	o.FS = disk
	return open(t, dbDir, o)
}

// F3: recovery may be cut off by a power cut, and that recovery too, as often
// as may be.
func TestF03_CrashesInRecovery(t *testing.T) {
	rng := rand.New(rand.NewPCG(uint64(*faultSeed), 3))
	for round := range 40 {
		sp := uncleanSpecimen(t)
		disk := sp.disk
		for level := range 8 {
			sim := faultfs.NewSimFrom(disk)
			sim.StopAt(1 + rng.IntN(16))
			o := small(full)
			o.FS = sim
			if db, err := engine.Open(dbDir, &o); err == nil {
				_ = db.Close()
			} else if !errors.Is(err, faultfs.ErrStopped) {
				t.Fatalf("round %d, level %d: %v\nrepeat: go test ./engine -run '^%s$' -fault.seed=%d", round, level, err, t.Name(), *faultSeed)
			}
			disk = sim.Image(sim.Ops(), faultfs.Random(rng.Int64()))
		}
		db := openOn(t, disk)
		n := len(sp.hist.commits) - 1
		if _, err := sp.hist.find(db, n, n); err != nil {
			t.Fatalf("round %d: %v\nrepeat: go test ./engine -run '^%s$' -fault.seed=%d", round, err, t.Name(), *faultSeed)
		}
		closeDB(t, db)
	}
}

// F4: after a write of the log has failed, the database says that it does not
// know what became of the commit, takes no more writes, says why, and goes on
// reading.
func TestF04_WriteError(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	db := openOn(t, in)
	mustPut(t, db, "k", "v")
	in.FailNth(1, faultfs.ErrIO, false, faultfs.OpWrite)
	err := db.Put([]byte("lost?"), []byte("v"))
	if !errors.Is(err, engine.ErrCommitUnknown) || !errors.Is(err, engine.ErrFailed) || !errors.Is(err, faultfs.ErrIO) {
		t.Errorf("the commit that failed: %v", err)
	}
	for range 2 {
		if err := db.Put([]byte("k"), nil); !errors.Is(err, engine.ErrFailed) || errors.Is(err, engine.ErrCommitUnknown) || !errors.Is(err, faultfs.ErrIO) {
			t.Errorf("a commit afterwards: %v", err)
		}
	}
	wantValue(t, db, []byte("k"), []byte("v"))
	if err := db.Close(); !errors.Is(err, engine.ErrFailed) {
		t.Errorf("close: %v", err)
	}
	db = openOn(t, disk)
	wantValue(t, db, []byte("k"), []byte("v"))
	mustPut(t, db, "k", "w")
	closeDB(t, db)
}

// F5: a full disk refuses the commit that meets it. What was there stays, reads
// go on, and so does writing when there is space again.
func TestF05_FullDisk(t *testing.T) {
	disk := vfs.NewMem()
	in := faultfs.Inject(disk)
	in.SetCapacity(100 << 10)
	o := small(full)
	o.FS, o.MemtableBytes = in, 16<<10
	db := open(t, dbDir, o)
	n := 0
	var err error
	for ; n < 1000; n++ {
		if err = db.Put([]byte(keyOf("k", n)), []byte(valueOf("k", n, 1000))); err != nil {
			break
		}
	}
	if !errors.Is(err, engine.ErrNoSpace) || errors.Is(err, engine.ErrFailed) {
		t.Fatalf("commit %d: %v, want ErrNoSpace", n, err)
	}
	check := func() {
		t.Helper()
		for i := range n {
			wantValue(t, db, []byte(keyOf("k", i)), []byte(valueOf("k", i, 1000)))
		}
		if ok, err := db.Has([]byte(keyOf("k", n))); ok || err != nil {
			t.Errorf("the commit that was refused: %v, %v", ok, err)
		}
	}
	check()
	for range 3 {
		err := db.Put([]byte(keyOf("k", n)), []byte(valueOf("k", n, 1000)))
		if err == nil { // a checkpoint has made room meanwhile
			n++
		} else if !errors.Is(err, engine.ErrNoSpace) {
			t.Errorf("a second try: %v", err)
		}
	}
	in.SetCapacity(-1)
	mustPut(t, db, "space", "again")
	check()
	if _, err := db.Checkpoint(context.Background()); err != nil {
		t.Error(err)
	}
	check()
	closeDB(t, db)
	if err := checkDatabase(disk, dbDir); err != nil {
		t.Error(err)
	}
}

// F6: after a failed sync nothing is synced again, the outcome of the commit is
// unknown, and what the next open shows of it does not vanish in a power cut,
// although the page cache had it and the disk had not.
func TestF06_SyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := faultfs.NewSim()
		db := openOn(t, sim)
		mustPut(t, db, "k", "v")
		synctest.Wait()
		sim.FailSync(1)
		if err := db.Put([]byte("k"), []byte("w")); !errors.Is(err, engine.ErrCommitUnknown) || !errors.Is(err, engine.ErrFailed) {
			t.Errorf("the commit whose sync failed: %v", err)
		}
		wantValue(t, db, []byte("k"), []byte("v")) // what is not durable is not visible
		if err := db.Sync(); !errors.Is(err, engine.ErrFailed) {
			t.Errorf("sync: %v", err)
		}
		if err := db.Close(); !errors.Is(err, engine.ErrFailed) {
			t.Errorf("close: %v", err)
		}
		if v := sim.Violations(); len(v) > 0 {
			t.Error(v)
		}
		db = openOn(t, sim)
		wantValue(t, db, []byte("k"), []byte("w")) // of the page cache
		after := openOn(t, sim.Image(sim.Ops(), faultfs.All))
		wantValue(t, after, []byte("k"), []byte("w"))
		closeDB(t, after)
		closeDB(t, db)
	})
}

// F6, over every sync of a life with checkpoints, and the three ways in which
// file systems fail them. What was acknowledged is there in the next open and
// after a power cut; what that open showed does not vanish either. A sync that
// tells of its failure only at the next one is a lie for as long: there the
// promise is that what is shown is right, or reported as damaged.
func TestF06_SyncFails_Flavours(t *testing.T) {
	for _, how := range []faultfs.SyncFailure{faultfs.SyncKeeps, faultfs.SyncDrops, faultfs.SyncLate} {
		failures := 0
		for n := 1; n < 200; n++ {
			failed := false
			synctest.Test(t, func(t *testing.T) { failed = syncFails(t, how, n) })
			if !failed {
				break
			}
			failures++
		}
		if failures < 20 {
			t.Errorf("flavour %d: %d syncs failed", how, failures)
		}
	}
}

// syncFails fails the n-th sync and reports whether there was one. Not every
// failure is told: that of a segment which is being prepared is tried again, in
// another file.
func syncFails(t *testing.T, how faultfs.SyncFailure, n int) bool {
	t.Helper()
	sim := faultfs.NewSim()
	sim.FailSyncAs(n, how)
	o := small(full)
	o.FS, o.MemtableBytes = sim, 4<<10
	const keys = 30
	acked := 0
	db, err := engine.Open(dbDir, &o)
	if err == nil {
		for err == nil && acked < keys {
			if err = db.Put([]byte(keyOf("k", acked)), []byte(valueOf("k", acked, 300))); err == nil {
				acked++
			}
			if err == nil && acked%10 == 0 {
				_, err = db.Checkpoint(context.Background())
			}
			synctest.Wait()
		}
		_ = db.Close() // of a database that has failed, the failure
	}
	sim.FailSync(0)
	failed := strings.Contains(strings.Join(sim.Trace(), "\n"), " failed")
	for _, v := range sim.Violations() {
		t.Errorf("flavour %d, sync %d: %s", how, n, v)
	}
	check := func(what string, fsys vfs.FS) int {
		o := o
		o.FS = fsys
		db, err := engine.Open(dbDir, &o)
		if how == faultfs.SyncLate && (errors.Is(err, engine.ErrCorrupt) || errors.Is(err, faultfs.ErrIO)) {
			return 0 // the next sync can be one of this open
		}
		if err != nil {
			t.Errorf("flavour %d, sync %d: %s: %v", how, n, what, err)
			return 0
		}
		shown := 0
		for ; shown < keys; shown++ {
			value, err := db.Get([]byte(keyOf("k", shown)))
			if err != nil {
				break
			}
			if string(value) != valueOf("k", shown, 300) {
				t.Errorf("flavour %d, sync %d: %s: key %d is wrong", how, n, what, shown)
			}
		}
		if shown < acked && how != faultfs.SyncLate {
			t.Errorf("flavour %d, sync %d: %s: %d of %d acknowledged keys", how, n, what, shown, acked)
		}
		if err := db.Close(); err != nil && !(how == faultfs.SyncLate && errors.Is(err, engine.ErrCorrupt)) {
			t.Errorf("flavour %d, sync %d: %s: close: %v", how, n, what, err)
		}
		return shown
	}
	check("power cut", sim.Image(sim.Ops(), faultfs.All))
	shown := check("opened again", sim)
	if again := check("power cut after that", sim.Image(sim.Ops(), faultfs.All)); again < shown && how != faultfs.SyncLate {
		t.Errorf("flavour %d, sync %d: %d keys were shown, and %d are left", how, n, shown, again)
	}
	return failed
}

// F7: an open that can open no file fails, and changes nothing.
func TestF07_TooManyFiles(t *testing.T) {
	for name, disk := range map[string]*vfs.Mem{"settled": settledSpecimen(t).disk, "unclean": uncleanSpecimen(t).disk} {
		before := disk.Clone()
		in := faultfs.Inject(disk)
		in.FailNth(1, syscall.EMFILE, true, faultfs.OpOpen, faultfs.OpCreate)
		o := small(full)
		o.FS = in
		if _, err := engine.Open(dbDir, &o); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("%s: %v", name, err)
		}
		if err := sameFiles(before, disk); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if open := in.OpenFiles(); len(open) > 0 {
			t.Errorf("%s: left open: %v", name, open)
		}
	}
}
