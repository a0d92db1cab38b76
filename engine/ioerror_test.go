package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
)

const (
	leastFaults = 10_000 // in one run of TestIOError
	leastSyncs  = 500    // in one run of TestIOError_SyncFails
)

// Make every call of every scenario fail, reads too, once or from then on,
// because the device fails or the disk is full, and whole or half way.
//
//  1. Nothing panics or waits for ever. Every step gives an error or the right
//     answer.
//  2. The fault gone, all that was acknowledged can be read. A full disk leaves
//     a database that takes writes again; another failure one that either does,
//     or refuses them all with ErrFailed.
//  3. Opened again, it holds every acknowledged commit, and of those whose
//     outcome is unknown whole ones, in their order. The same after a power
//     cut, for what was durable; and what was shown then is never lost.
//  4. No file stays open, and no failed sync is tried again.
func TestIOError(t *testing.T) {
	eachScenario(t, "cases", "input/output errors", leastFaults, tellsOrder, faultScenario)
}

// fault is one way to fail at one call.
type fault struct {
	call    int // from which it strikes
	err     error
	forever bool
	half    bool // a read or write does half of its bytes
}

func (f fault) String() string {
	s := fmt.Sprintf("%v at call %d", f.err, f.call)
	if f.forever {
		s += " and for ever"
	}
	if f.half {
		s += ", half way"
	}
	return s
}

// faultsAt are the faults that a call can meet.
func faultsAt(call int, kind faultfs.Kind) []fault {
	list := []fault{{call: call, err: faultfs.ErrIO}, {call: call, err: faultfs.ErrIO, forever: true}}
	if !takesSpace(kind) {
		return list
	}
	list = append(list, fault{call: call, err: vfs.ErrNoSpace}, fault{call: call, err: vfs.ErrNoSpace, forever: true})
	if kind == faultfs.OpWrite {
		list = append(list, fault{call: call, err: faultfs.ErrIO, half: true}, fault{call: call, err: vfs.ErrNoSpace, half: true},
			fault{call: call, err: vfs.ErrNoSpace, half: true, forever: true})
	}
	return list
}

// otherFaultsAt are those that a larger scale adds: the other errors that the
// kernel has for a call, and reads that get half. (A read of a file that ends too
// early is damage: TestDamage_EveryBit.) What a quota and the limit of a file's
// length refuse is a full disk to us, where the system tells them by these
// numbers.
func otherFaultsAt(call int, kind faultfs.Kind) []fault {
	errs := []error{syscall.EINTR}
	var list []fault
	switch kind {
	case faultfs.OpOpen, faultfs.OpCreate, faultfs.OpLock, faultfs.OpList, faultfs.OpSyncDir:
		errs = append(errs, syscall.EMFILE)
	}
	if takesSpace(kind) {
		errs = append(errs, syscall.EROFS, syscall.EDQUOT, syscall.EFBIG)
	}
	if kind == faultfs.OpRead {
		list = append(list, fault{call: call, err: faultfs.ErrIO, half: true}, fault{call: call, err: faultfs.ErrIO, half: true, forever: true})
	}
	for _, err := range errs {
		list = append(list, fault{call: call, err: err}, fault{call: call, err: err, forever: true})
		if kind == faultfs.OpWrite {
			list = append(list, fault{call: call, err: err, half: true})
		}
	}
	return list
}

// takesSpace reports whether a call of the kind can meet a full disk.
func takesSpace(kind faultfs.Kind) bool {
	switch kind {
	case faultfs.OpCreate, faultfs.OpMkdir, faultfs.OpRename, faultfs.OpLock, faultfs.OpSetHolder,
		faultfs.OpWrite, faultfs.OpTruncate, faultfs.OpAllocate, faultfs.OpSync, faultfs.OpSyncDir:
		return true
	}
	return false
}

// faultScenario plays a scenario once for each fault, and returns how often. Below
// a larger scale each call meets every second fault, or fourth where there are many
// calls, and the next one others.
func faultScenario(t *testing.T, sc *scenario) int {
	disk, hist := sc.prepare(t)
	kinds := (&faultRun{sc: sc, disk: disk, hist: hist.fork()}).play(t)
	n := 0
	for i, kind := range kinds {
		faults, every := faultsAt(i+1, kind), 2
		if len(kinds) > 180 {
			every = 4
		}
		if figure.Scale() > 1 {
			faults, every = append(faults, otherFaultsAt(i+1, kind)...), 1
		}
		for j := i % every; j < len(faults); j += every {
			f := faults[j]
			n++
			r := &faultRun{sc: sc, disk: disk, hist: hist.fork(), fault: f}
			r.play(t)
			if t.Failed() || testing.Short() && n > 40 {
				return n
			}
		}
	}
	return n
}

// faultRun is a scenario that is played with a fault.
type faultRun struct {
	t     *testing.T
	sc    *scenario
	disk  *vfs.Mem
	hist  *history
	fault fault               // none, when call is 0
	how   faultfs.SyncFailure // of the sync that fails, if it is one

	sim *faultfs.Sim
	in  *faultfs.Injector
	s   *session

	mu     sync.Mutex
	over   bool           // the fault is gone
	struck []faultfs.Op   // the calls that failed
	kinds  []faultfs.Kind // of all calls
	// written is up to where a write that met a full disk came: what is
	// written again there needs no more space.
	written map[string]int64
}

// fail says what was found, and how to find it again.
func (r *faultRun) fail(format string, args ...any) {
	r.t.Helper()
	r.mu.Lock()
	struck := fmt.Sprint(r.struck)
	r.mu.Unlock()
	r.t.Errorf("%v, which struck %.300s: %s\nrepeat: %s",
		r.fault, struck, fmt.Sprintf(format, args...), again(r.t))
}

// play plays the scenario and judges what came of it. It returns the kinds of
// the calls that it made.
func (r *faultRun) play(t *testing.T) []faultfs.Kind {
	r.t = t
	r.sim = faultfs.NewSimFrom(r.disk)
	r.in = faultfs.Inject(r.sim)
	r.in.SetHook(r.strike)
	r.written = map[string]int64{}
	defer func() {
		if p := recover(); p != nil {
			r.fail("panic: %v", p)
			panic(p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		r.s = &session{t: t, fs: r.in, now: r.sim.Ops, opts: small(r.sc.opts), hist: r.hist, faulty: r.fault.call > 0}
		r.sc.play(r.s)
		r.s.settle()
		r.s.read() // while the fault lasts
		r.end()
		r.judge()
	})
	return r.kinds
}

// strike is the hook of the injector.
func (r *faultRun) strike(op faultfs.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return nil
	}
	r.kinds = append(r.kinds, op.Kind)
	f := &r.fault
	switch {
	case f.call == 0 || op.N < f.call,
		vfs.IsNoSpace(f.err) && (!takesSpace(op.Kind) || op.Kind == faultfs.OpWrite && op.Off+op.Len <= r.written[op.Name]),
		!f.forever && len(r.struck) > 0:
		return nil
	}
	r.struck = append(r.struck, op)
	if f.half && (op.Kind == faultfs.OpRead || op.Kind == faultfs.OpWrite) {
		if op.Kind == faultfs.OpWrite {
			r.written[op.Name] = op.Off + op.Len/2
		}
		return &faultfs.Short{Bytes: int(op.Len / 2), Err: f.err}
	}
	return f.err
}

// end takes the fault away.
func (r *faultRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

// mayFail reports whether the fault may have ended writing: whether it struck
// anything but a call that can be made again on a full disk.
func (r *faultRun) mayFail() bool {
	return !vfs.IsNoSpace(r.fault.err) || slices.ContainsFunc(r.struck, func(op faultfs.Op) bool {
		return op.Kind == faultfs.OpSync || op.Kind == faultfs.OpSyncDir
	})
}

func (r *faultRun) judge() {
	s := r.s
	if s.lied != nil {
		r.fail("%v", s.lied)
		return
	}
	ops, n := r.sim.Ops(), len(r.hist.commits)-1
	r.openImage("a power cut", r.sim.Image(ops, faultfs.All), r.hist.durableBy(ops, s.opts.Sync), n)
	if s.db != nil {
		r.judgeOpen()
	}
	if open := r.in.OpenFiles(); len(open) > 0 {
		r.fail("files left open: %v", open)
	}
	if v := append(r.in.Violations(), r.sim.Violations()...); len(v) > 0 {
		r.fail("%v", v)
	}
	if r.t.Failed() {
		return
	}
	n = len(r.hist.commits) - 1
	r.reopen(s.least(), n)
}

// judgeOpen looks at a database that the fault left open.
func (r *faultRun) judgeOpen() {
	s := r.s
	n := len(r.hist.commits) - 1 - s.unknown
	if _, err := r.hist.find(s.db, n, n); err != nil {
		r.fail("read after the fault: %v", err)
	}
	begun := s.now0()
	e := []edit{put("after the fault", "1")}
	err := applyEdits(s.db, e)
	s.outcome(e, begun, err)
	switch {
	case s.lied != nil:
		r.fail("%v", s.lied)
	case err == nil:
	case !errors.Is(err, engine.ErrFailed):
		r.fail("write after the fault: %v", err)
	case !r.mayFail():
		r.fail("a full disk ended writing: %v", err)
	default:
		r.judgeFailed()
	}
	closeErr := s.db.Close()
	s.db = nil
	if err == nil {
		r.check("close, after a write that succeeded", closeErr)
	}
	if err != nil && closeErr == nil {
		r.fail("close hides that the database had failed: %v", err)
	}
	if closeErr == nil {
		s.promise()
	}
}

// judgeFailed checks that nothing writes to a database that has failed.
func (r *faultRun) judgeFailed() {
	db := r.s.db
	ops := r.sim.Ops()
	_, ckpt := db.Checkpoint(r.t.Context())
	_, compact := db.Compact(r.t.Context())
	_, create := db.CreateKeyspace("after the fault", nil)
	calls := map[string]error{
		"put": db.Put([]byte("x"), nil), "apply": applyEdits(db, []edit{put("x", ""), del("y")}),
		"sync": db.Sync(), "checkpoint": ckpt, "compact": compact, "create keyspace": create,
	}
	for name, err := range calls {
		if !errors.Is(err, engine.ErrFailed) {
			r.fail("%s on a failed database: %v", name, err)
		}
	}
	if n := r.sim.Ops(); n != ops {
		r.fail("a failed database still writes: %v", r.sim.Trace()[ops:])
	}
}

// openImage opens a disk, without leaving a trace on the simulated one.
func (r *faultRun) openImage(after string, disk *vfs.Mem, least, most int) {
	o := small(r.sc.opts)
	o.FS, o.Events = disk, nil // another database
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		r.check("open after "+after, err)
		return
	}
	if r.how == faultfs.SyncLate {
		least = 0
	}
	_, err = r.hist.find(db, least, most)
	r.check("read after "+after, err)
	r.check("close after "+after, db.Close())
}

// check fails on an error that is no excuse: of a disk that lied, that it is
// damaged, or says so at last.
func (r *faultRun) check(doing string, err error) {
	if err != nil && !(r.how == faultfs.SyncLate && !errors.Is(err, errWrong) && (isDamage(err) || errors.Is(err, faultfs.ErrIO))) {
		r.t.Helper()
		r.fail("%s: %v", doing, err)
	}
}

// reopen opens what the fault left, as the next process does.
func (r *faultRun) reopen(least, most int) {
	o := small(r.sc.opts)
	o.FS = r.sim
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		r.check("reopen", err)
		return
	}
	k, err := r.hist.find(db, least, most)
	r.check("read after reopening", err)
	r.openImage("a power cut after reopening", r.sim.Image(r.sim.Ops(), faultfs.All), k, k)
	if r.how == faultfs.SyncLate {
		r.check("close after reopening", db.Close())
		return
	}
	e := put("after the reopening", "1")
	if err := db.Put([]byte(e.key), []byte(e.value)); err != nil {
		r.fail("write after reopening: %v", err)
	}
	if r.sc.opts.Sync == engine.SyncFull {
		after := &history{commits: r.hist.commits[:k+1], used: r.hist.used}
		after.add([]edit{e}, 0, 0)
		r.hist = after
		r.openImage("a power cut after the next write", r.sim.Image(r.sim.Ops(), faultfs.All), k+1, k+1)
	}
	if err := db.Close(); err != nil {
		r.fail("close after reopening: %v", err)
	}
	if err := checkDatabase(r.sim, dbDir); err != nil {
		r.fail("check: %v", err)
	}
}

// Let every sync of every scenario (below a larger scale, every second one) fail
// in each of the ways of Linux: the error
// is told once; what was unsynced never reaches the disk, and stays in the page
// cache, marked clean, or is gone from there. What the next process shows must
// be there even after a power cut. Where the error is only told by the sync after
// it, the disk has lied, and acknowledged commits may be gone: but nothing else
// than whole commits in their order is shown, or damage told.
func TestIOError_SyncFails(t *testing.T) {
	eachScenario(t, "cases", "failed syncs", leastSyncs, tellsOrder, func(t *testing.T, sc *scenario) int {
		disk, hist := sc.prepare(t)
		cases := 0
		step := 2
		if figure.Scale() > 1 {
			step = 1
		}
		for i, how := range []faultfs.SyncFailure{faultfs.SyncKeeps, faultfs.SyncDrops, faultfs.SyncLate} {
			for n := 1 + i%step; ; n += step {
				r := &faultRun{sc: sc, disk: disk, hist: hist.fork(), fault: fault{call: n, err: faultfs.ErrIO}, how: how}
				if !r.failSync(t, n) || t.Failed() {
					break
				}
				cases++
			}
		}
		return cases
	})
}

// failSync plays the scenario with the n-th sync failing, and reports whether
// there was one.
func (r *faultRun) failSync(t *testing.T, n int) (failed bool) {
	r.t = t
	r.sim = faultfs.NewSimFrom(r.disk)
	r.sim.FailSyncAs(n, r.how)
	r.in = faultfs.Inject(r.sim) // which does no more than to look for open files
	synctest.Test(t, func(t *testing.T) {
		r.s = &session{t: t, fs: r.in, now: r.sim.Ops, opts: small(r.sc.opts), hist: r.hist, faulty: true, drops: r.how == faultfs.SyncDrops}
		r.sc.play(r.s)
		r.s.settle()
		r.sim.FailSync(0)
		for _, op := range r.sim.Trace() {
			if strings.HasSuffix(op, "failed") {
				failed = true
				r.struck = append(r.struck, faultfs.Op{Kind: faultfs.OpSync, Name: op})
			}
		}
		r.judge()
	})
	return failed
}

// stop plays the scenario in a process that is killed after some operations,
// and judges what the next one finds.
func (r *faultRun) stop(t *testing.T) {
	r.sim = faultfs.NewSimFrom(r.disk)
	r.sim.StopAt(r.fault.call)
	synctest.Test(t, func(t *testing.T) {
		r.t = t
		r.s = &session{t: t, fs: r.sim, now: r.sim.Ops, opts: small(r.sc.opts), hist: r.hist, faulty: true}
		r.sc.play(r.s)
		r.s.settle()
		if r.s.db != nil {
			_ = r.s.db.Close()
		}
		r.sim.StopAt(0)
		if r.s.lied != nil {
			r.fail("%v", r.s.lied)
			return
		}
		n := len(r.hist.commits) - 1
		r.reopen(n-r.s.unknown, n)
	})
}
