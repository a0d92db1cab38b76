package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
	"github.com/lightning-db/lightning/internal/figure"
)

var (
	metaSeed = flag.Uint64("meta.seed", 0, "seed of the one script of TestMetamorphic; 0 runs all")
	metaOps  = flag.Int("meta.ops", 0, "operations of one script of TestMetamorphic (0: 2,000, or 10,000 at a larger scale)")
)

// metaScripts × metaRandom and the standard ones are the runs of TestMetamorphic.
const (
	metaScripts = 5
	metaRandom  = 24 // settings drawn for each script, beside the standard ones
	metaKept    = 30 // operations that a reduced script should have at most
)

// The same operations give the same answers, whatever the settings and whatever
// is done between them that changes no content: checkpoints, compaction, closing
// and opening again, kills, going on with a restored backup. No model is asked:
// each script is run under many settings, and what the operations returned is
// compared with the first run, one by one. What differs is reduced to a short
// script:
//
//	go test ./engine -run '^TestMetamorphic$' -meta.seed=N
func TestMetamorphic(t *testing.T) {
	warmUp()
	length := *metaOps
	switch {
	case length > 0:
	case testing.Short():
		length = 400
	case figure.Scale() > 1:
		length = 10_000
	default:
		length = 2000
	}
	first, scripts := uint64(1), figure.Times(metaScripts)
	if *metaSeed != 0 {
		first, scripts = *metaSeed, 1
	}
	var ran atomic.Int64
	t.Run("in", func(t *testing.T) {
		for seed := first; seed < first+uint64(scripts); seed++ {
			t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
				t.Parallel()
				script := metaScript(seed, length)
				settings := metaSettings(seed)
				if n := len(settings); n < 24+metaRandom {
					t.Fatalf("%d settings, want at least %d", n, 24+metaRandom)
				}
				if diff := compareSettings(script, settings); diff != nil {
					t.Fatalf("%v\nrepeat: %sgo test ./engine -run '^TestMetamorphic$' -meta.seed=%d -meta.ops=%d", diff, figure.Env(), seed, length)
				}
				ran.Add(int64(len(settings)))
			})
		}
	})
	figure.Log(t, "scripts", scripts)
	figure.Log(t, "runs", int(ran.Load()))
	figure.Log(t, "operations", int(ran.Load())*length)
}

// A setting that forgets one delete is found, and the script that shows it is a
// short one.
func TestMetamorphic_FindsAndReduces(t *testing.T) {
	warmUp()
	script := metaScript(7, 2000)
	var wrong metaSetting
	var diff *metaDiff
	for _, op := range script[300:] {
		if op.kind == metaDelete && diff == nil { // not all of them are of a key that is there
			wrong = metaSetting{name: "wrong", forget: op.n}
			diff = compareSettings(script, []metaSetting{{name: "right", forget: -1}, wrong})
		}
	}
	if diff == nil {
		t.Fatal("no forgotten delete is found")
	}
	if len(diff.script) > metaKept {
		t.Errorf("reduced to %d operations, want at most %d:\n%v", len(diff.script), metaKept, diff)
	}
	if !slices.ContainsFunc(diff.script, func(op metaOp) bool { return op.n == wrong.forget }) {
		t.Errorf("the reduced script is without the delete:\n%v", diff)
	}
}

// Scripts.

type metaKind uint8

const (
	metaPut metaKind = iota
	metaDelete
	metaDeleteRange
	metaGet
	metaHas
	metaMultiGet
	metaScan
	metaScanBackward
	metaScanPrefix
	metaWander
	metaBatch
	metaTx
	metaConflict
	metaSnapshot
	metaSnapshotScan
	metaSnapshotGet
	metaCloseSnapshot
	metaCreate
	metaDrop
	metaKeyspaces
	metaSync
	metaKinds
)

var metaNames = [metaKinds]string{
	"put", "delete", "delete range", "get", "has", "multiget", "scan", "scan backward", "scan prefix", "wander", "batch", "transaction",
	"conflict", "snapshot", "scan snapshot", "get from snapshot", "close snapshot", "create keyspace", "drop keyspace", "list keyspaces", "sync",
}

// metaOp is one operation of a script. It means the same without any of the
// others, so that a script can be reduced.
type metaOp struct {
	n          int // its place in the whole script
	kind       metaKind
	space      string
	key, end   string // end "" is open
	value      string
	slot       int      // of a snapshot
	limit      int      // of a scan; 0: none
	yes        bool     // commit; isolation of a conflict
	operations []metaOp // of a batch or transaction; of wander, its moves
}

func (op metaOp) String() string {
	text := fmt.Sprintf("%d %s in %q: key %.40q, end %.40q, %d bytes, slot %d, limit %d, %v", op.n, metaNames[op.kind], op.space, op.key, op.end, len(op.value), op.slot, op.limit, op.yes)
	for _, sub := range op.operations {
		text += "\n        " + sub.String()
	}
	return text
}

// metaScript draws a script of n operations, each of those in a batch or a
// transaction being one.
func metaScript(seed uint64, n int) []metaOp {
	rng := rand.New(rand.NewPCG(seed, 0x6d657461))
	g := &metaGenerator{rng: rng, keys: modelKeys(rng)}
	var script []metaOp
	for n > 0 {
		op := g.op(len(script))
		script = append(script, op)
		if n--; op.kind == metaBatch || op.kind == metaTx {
			n -= len(op.operations)
		}
	}
	return script
}

type metaGenerator struct {
	rng  *rand.Rand
	keys []string
}

func (g *metaGenerator) key() string { return g.keys[g.rng.IntN(len(g.keys))] }

func (g *metaGenerator) value() string {
	n := g.rng.IntN(100)
	switch g.rng.IntN(40) {
	case 0:
		n = g.rng.IntN(30_000)
	case 1, 2:
		n = g.rng.IntN(3000)
	}
	if g.rng.IntN(2) == 0 {
		return strings.Repeat(fmt.Sprint(g.rng.IntN(100)), n/2)
	}
	return valueOf("v", g.rng.IntN(1<<30), n)
}

func (g *metaGenerator) space() string {
	if g.rng.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprint("space ", g.rng.IntN(3))
}

// op draws an operation. All fields are drawn, also those that its kind has no
// use for.
func (g *metaGenerator) op(n int) metaOp {
	weights := [metaKinds]int{300, 110, 12, 160, 40, 30, 40, 30, 20, 30, 50, 50, 12, 12, 20, 20, 12, 8, 2, 4, 8}
	total := 0
	for _, w := range weights {
		total += w
	}
	draw, kind := g.rng.IntN(total), metaKind(0)
	for draw >= weights[kind] {
		draw -= weights[kind]
		kind++
	}
	op := g.write(n)
	op.kind, op.slot, op.yes = kind, g.rng.IntN(3), g.rng.IntN(2) == 0
	if g.rng.IntN(2) == 0 {
		op.limit = 1 + g.rng.IntN(30)
	}
	switch kind {
	case metaScanPrefix:
		op.key = op.key[:g.rng.IntN(len(op.key)+1)]
	case metaBatch:
		for range g.rng.IntN(40) {
			op.operations = append(op.operations, g.write(n))
		}
	case metaTx:
		for range g.rng.IntN(20) {
			sub := g.write(n)
			if g.rng.IntN(3) == 0 {
				sub.kind = []metaKind{metaGet, metaHas, metaMultiGet, metaScan, metaScanBackward, metaScanPrefix}[g.rng.IntN(6)]
			}
			op.operations = append(op.operations, sub)
		}
	case metaWander:
		for range g.rng.IntN(30) {
			op.operations = append(op.operations, metaOp{slot: g.rng.IntN(10), key: g.key()})
		}
	}
	return op
}

// write draws a write.
func (g *metaGenerator) write(n int) metaOp {
	op := metaOp{n: n, space: g.space(), key: g.key(), end: g.key(), value: g.value()}
	switch p := g.rng.IntN(24); {
	case p == 0:
		op.kind = metaDeleteRange
	case p < 8:
		op.kind = metaDelete
	}
	if op.end < op.key && g.rng.IntN(8) > 0 {
		op.key, op.end = op.end, op.key
	}
	if g.rng.IntN(16) == 0 {
		op.end = ""
	}
	return op
}

// Settings.

// metaSetting is under what a script is run.
type metaSetting struct {
	name    string
	options engine.Options
	seed    uint64 // of the keyspaces' settings, and of what happens between
	between []func(*metaRun)
	every   int // about how many operations pass between; 0: nothing happens
	how     int // 0: calls of DB and Keyspace; 1: transactions; 2: batches and snapshots; 3: iterators
	forget  int // the number of an operation that is left out, -1: none
}

func (s *metaSetting) String() string {
	o := s.options
	return fmt.Sprintf("%s (page %d, cache %d, memtable %d, segment %d, log %d, %v, %v, how %d, every %d, seed %d)",
		s.name, o.PageSize, o.CacheBytes, o.MemtableBytes, o.SegmentBytes, o.MaxWALBytes, o.Sync, o.Compression, s.how, s.every, s.seed)
}

var metaBetween = []func(*metaRun){(*metaRun).checkpoint, (*metaRun).compact, (*metaRun).reopen, (*metaRun).kill, (*metaRun).restore}

// metaSettings are the standard settings, the first of which the others are
// compared with, and some that the seed draws.
func metaSettings(seed uint64) []metaSetting {
	var list []metaSetting
	add := func(name string, o engine.Options, how, every int, between ...func(*metaRun)) {
		list = append(list, metaSetting{name: name, options: o, seed: seed, how: how, every: every, between: between, forget: -1})
	}
	small := engine.Options{MemtableBytes: 16 << 10, SegmentBytes: 8 << 10, PageSize: 1 << 10, CacheBytes: 64 << 10}
	with := func(change func(*engine.Options)) engine.Options {
		o := small
		change(&o)
		return o
	}
	add("default", engine.Options{}, 0, 0)
	for shift := 0; shift < 7; shift += 2 {
		add(fmt.Sprintf("pages of %d KiB", 1<<shift), engine.Options{PageSize: 1 << (10 + shift), MemtableBytes: 16 << 10, SegmentBytes: 64 << 10}, 0, 0)
	}
	add("all small", small, 0, 0)
	add("no cache", with(func(o *engine.Options) { o.CacheBytes = 1 }), 0, 0)
	add("sync normal", with(func(o *engine.Options) { o.Sync = engine.SyncNormal }), 0, 0)
	add("sync off", with(func(o *engine.Options) { o.Sync = engine.SyncOff }), 0, 0)
	add("s2", with(func(o *engine.Options) { o.Compression = engine.CompressionS2 }), 0, 0)
	add("zstd", with(func(o *engine.Options) { o.Compression = engine.CompressionZstd }), 0, 0)
	add("tiny memtable", with(func(o *engine.Options) { o.MemtableBytes = 1 << 10 }), 0, 0)
	add("short log", with(func(o *engine.Options) { o.MaxWALBytes, o.MemtableBytes = 16<<10, 1<<20 }), 0, 0)
	add("all in memory", engine.Options{MemtableBytes: 64 << 20, CacheBytes: 256 << 20}, 0, 0)
	add("transactions", small, 1, 0)
	add("batches and snapshots", small, 2, 0)
	add("iterators", small, 3, 0)
	add("checkpoints", small, 0, 20, (*metaRun).checkpoint)
	add("compaction", engine.Options{MemtableBytes: 8 << 10}, 0, 80, (*metaRun).compact)
	add("closed and opened", small, 0, 50, (*metaRun).reopen)
	add("closed and opened, large memtable", engine.Options{SegmentBytes: 64 << 10}, 0, 25, (*metaRun).reopen)
	add("killed", small, 0, 50, (*metaRun).kill)
	add("killed without sync", engine.Options{Sync: engine.SyncOff, SegmentBytes: 64 << 10}, 0, 25, (*metaRun).kill)
	add("restored", small, 0, 100, (*metaRun).restore)
	add("all of these", small, 0, 30, metaBetween...)

	rng := rand.New(rand.NewPCG(seed, 0x73657474))
	for i := range metaRandom {
		list = append(list, metaSetting{
			name: fmt.Sprint("random ", i), seed: rng.Uint64(), how: rng.IntN(4), every: 60 + rng.IntN(300), forget: -1,
			between: metaBetween[:1+rng.IntN(len(metaBetween))],
			options: engine.Options{
				Sync:          engine.SyncMode(rng.IntN(3)),
				CacheBytes:    1 << rng.IntN(24),
				MemtableBytes: 1 << (13 + rng.IntN(9)),
				SegmentBytes:  1 << (13 + rng.IntN(8)),
				MaxWALBytes:   1 << (16 + rng.IntN(10)),
				PageSize:      1 << (10 + rng.IntN(7)),
				Compression:   engine.Compression(rng.IntN(3)),
			},
		})
	}
	return list
}

// Comparison.

// metaDiff is a script whose operations return something else under two
// settings.
type metaDiff struct {
	a, b         *metaSetting
	script       []metaOp // reduced
	at           int      // in script
	haveA, haveB string
}

func (d *metaDiff) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "operation %d returns something else\nunder %v:\n  %.300s\nunder %v:\n  %.300s\nthe script, reduced to %d operations:\n",
		d.script[d.at].n, d.a, d.haveA, d.b, d.haveB, len(d.script))
	for _, op := range d.script {
		fmt.Fprintf(&b, "  %v\n", op)
	}
	return b.String()
}

// compareSettings runs the script under all settings, and returns the first
// difference from the first of them.
func compareSettings(script []metaOp, settings []metaSetting) *metaDiff {
	a := &settings[0]
	want := runMeta(script, a)
	for i := range settings[1:] {
		b := &settings[1+i]
		at := firstDifference(want, runMeta(script, b))
		if at < 0 {
			continue
		}
		differ := func(script []metaOp) bool { return firstDifference(runMeta(script, a), runMeta(script, b)) >= 0 }
		// What comes behind the first difference has no part in it.
		reduced := reduceScript(script[:min(at+1, len(script))], differ)
		if !differ(reduced) {
			reduced = script // it does not come every time
		}
		d := &metaDiff{a: a, b: b, script: reduced}
		haveA, haveB := runMeta(reduced, a), runMeta(reduced, b)
		d.at = max(firstDifference(haveA, haveB), 0)
		d.haveA, d.haveB = haveA[d.at], haveB[d.at]
		d.at = min(d.at, len(reduced)-1) // behind the last is what all hold at the end
		return d
	}
	return nil
}

func firstDifference(a, b []string) int {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// reduceTime is how long reduceScript goes on.
const reduceTime = 60 * time.Second

// reduceScript leaves operations out for as long as fails holds of the rest: the
// halves first, then ever smaller pieces.
func reduceScript(script []metaOp, fails func([]metaOp) bool) []metaOp {
	end := time.Now().Add(reduceTime)
	for size := (len(script) + 1) / 2; size > 0; size /= 2 {
		for from := 0; from < len(script) && time.Now().Before(end); {
			rest := slices.Delete(slices.Clone(script), from, min(from+size, len(script)))
			if len(rest) > 0 && fails(rest) {
				script = rest
			} else {
				from += size
			}
		}
	}
	return script
}

// Runs.

// metaRun is a database that a script runs on.
type metaRun struct {
	*metaSetting
	disk      *vfs.Mem
	in        *faultfs.Injector
	db        *engine.DB
	rng       *rand.Rand
	snapshots [3]*metaSnapshotOf
	failed    string // what went wrong between operations
}

type metaSnapshotOf struct {
	*engine.Snapshot
	spaces map[string]*engine.Keyspace
}

// runMeta runs the script, and returns what each operation returned, and at last
// what the database holds.
func runMeta(script []metaOp, s *metaSetting) []string {
	r := &metaRun{metaSetting: s, disk: vfs.NewMem()}
	var out []string
	r.open()
	for _, op := range script {
		if r.failed != "" {
			break
		}
		// What happens between belongs to the operation, whichever others there are.
		r.rng = rand.New(rand.NewPCG(s.seed, uint64(op.n)))
		if s.every > 0 && r.rng.IntN(s.every) == 0 {
			r.between[r.rng.IntN(len(r.between))](r)
		}
		if r.failed == "" && op.n != s.forget {
			out = append(out, r.do(op))
		} else {
			out = append(out, "ok")
		}
	}
	if r.failed != "" {
		return append(out, "between: "+r.failed)
	}
	out = append(out, r.contents())
	r.closeSnapshots()
	if err := r.db.Close(); err != nil {
		out = append(out, "close: "+err.Error())
	} else if err := checkDatabase(r.disk, dbDir); err != nil {
		out = append(out, "check: "+err.Error())
	}
	return append(out, "end")
}

func (r *metaRun) fail(doing string, err error) bool {
	if err != nil && r.failed == "" {
		r.failed = doing + ": " + err.Error()
	}
	return err != nil
}

func (r *metaRun) open() {
	r.in = faultfs.Inject(r.disk)
	o := r.options
	o.FS = r.in
	db, err := engine.Open(dbDir, &o)
	if !r.fail("open", err) {
		r.db = db
	}
}

func (r *metaRun) busy() bool {
	return slices.ContainsFunc(r.snapshots[:], func(s *metaSnapshotOf) bool { return s != nil })
}

func (r *metaRun) closeSnapshots() {
	for i, s := range r.snapshots {
		if s != nil {
			s.Close()
			r.snapshots[i] = nil
		}
	}
}

// What happens between operations. What would end snapshots waits until there
// are none.

func (r *metaRun) checkpoint() {
	_, err := r.db.Checkpoint(context.Background())
	r.fail("checkpoint", err)
}

func (r *metaRun) compact() {
	_, err := r.db.Compact(context.Background())
	r.fail("compact", err)
}

func (r *metaRun) reopen() {
	if !r.busy() && !r.fail("close", r.db.Close()) {
		r.open()
	}
}

// kill ends the process: its calls fail from now on, and the next one goes on
// with the files as they are.
func (r *metaRun) kill() {
	if r.busy() {
		return
	}
	r.in.SetHook(func(faultfs.Op) error { return faultfs.ErrStopped })
	_ = r.db.Close()
	r.disk = r.disk.Clone()
	r.open()
}

// restore goes on with a restored backup.
func (r *metaRun) restore() {
	if r.busy() {
		return
	}
	var stream bytes.Buffer
	if _, err := r.db.Backup(context.Background(), &stream, nil); r.fail("backup", err) || r.fail("close", r.db.Close()) {
		return
	}
	r.disk = vfs.NewMem()
	if _, err := engine.Restore(context.Background(), &stream, dbDir, &engine.RestoreOptions{FS: r.disk}); !r.fail("restore", err) {
		r.open()
	}
}

// metaErrors are what operations may return; they say no more than that.
var metaErrors = []error{
	engine.ErrNotFound, engine.ErrConflict, engine.ErrNoKeyspace, engine.ErrKeyspaceExists, engine.ErrTooLarge,
}

func metaResult(text string, err error) string {
	if err == nil {
		return text
	}
	for _, known := range metaErrors {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "error: " + err.Error()
}

// do makes an operation and returns what came of it.
func (r *metaRun) do(op metaOp) string {
	switch op.kind {
	case metaBatch:
		return metaResult("ok", r.batch(op.operations))
	case metaTx:
		return r.transaction(op)
	case metaConflict:
		return r.conflict(op)
	case metaSnapshot:
		return r.snapshot(op.slot)
	case metaSnapshotScan, metaSnapshotGet:
		s := r.snapshots[op.slot]
		if s == nil || s.spaces[op.space] == nil {
			return "none"
		}
		if op.kind == metaSnapshotGet {
			value, err := s.In(s.spaces[op.space]).Get([]byte(op.key))
			return metaResult(string(value), err)
		}
		return metaScanOf(s.In(s.spaces[op.space]), op)
	case metaCloseSnapshot:
		if s := r.snapshots[op.slot]; s != nil {
			s.Close()
			r.snapshots[op.slot] = nil
		}
		return "ok"
	case metaCreate:
		// Each setting has keyspaces of its own kind.
		own := rand.New(rand.NewPCG(r.seed, uint64(len(op.space))+uint64(op.n)))
		_, err := r.db.CreateKeyspace(op.space, &engine.KeyspaceOptions{PageSize: 1 << (10 + own.IntN(7)), Compression: engine.Compression(own.IntN(3))})
		return metaResult("ok", err)
	case metaDrop:
		if op.space == "" {
			return "ok"
		}
		return metaResult("ok", r.db.DropKeyspace(op.space))
	case metaKeyspaces:
		list, err := r.db.Keyspaces()
		var names []string
		for _, info := range list {
			names = append(names, info.Name)
		}
		slices.Sort(names)
		return metaResult(fmt.Sprintf("%q", names), err)
	case metaSync:
		return metaResult("ok", r.db.Sync())
	}
	ks, err := r.db.Keyspace(op.space)
	if err != nil {
		return metaResult("", err)
	}
	switch op.kind {
	case metaPut, metaDelete, metaDeleteRange:
		return metaResult("ok", r.write(ks, op))
	case metaGet, metaHas, metaMultiGet:
		return r.read(ks, op)
	}
	var text string
	err = r.db.View(func(tx *engine.Tx) error {
		if op.kind == metaWander {
			text = metaWanderOf(tx.In(ks), op)
		} else {
			text = metaScanOf(tx.In(ks), op)
		}
		return nil
	})
	return metaResult(text, err)
}

// write makes one write, in the setting's way.
func (r *metaRun) write(ks *engine.Keyspace, op metaOp) error {
	switch r.how {
	case 1:
		return r.db.Update(context.Background(), func(tx *engine.Tx) error { return metaWrite(tx.In(ks), op) })
	case 2:
		b := r.db.NewBatch()
		if err := metaWrite(b.In(ks), op); err != nil {
			return err
		}
		return r.db.Apply(context.Background(), b)
	}
	return metaWrite(ks, op)
}

func metaWrite(w writer, op metaOp) error {
	switch op.kind {
	case metaDelete:
		return w.Delete([]byte(op.key))
	case metaDeleteRange:
		var end []byte
		if op.end != "" {
			end = []byte(op.end)
		}
		return w.DeleteRange([]byte(op.key), end)
	}
	return w.Put([]byte(op.key), []byte(op.value))
}

// read makes one read of keys, in the setting's way.
func (r *metaRun) read(ks *engine.Keyspace, op metaOp) string {
	var text string
	var err error
	switch r.how {
	case 1, 3:
		err = r.db.View(func(tx *engine.Tx) error {
			if r.how == 3 && op.kind == metaGet {
				text = metaSeek(tx.In(ks), op.key)
			} else {
				text = metaGetOf(tx.In(ks), op)
			}
			return nil
		})
	case 2:
		var s *engine.Snapshot
		if s, err = r.db.Snapshot(); err == nil {
			text = metaGetOf(s.In(ks), op)
			s.Close()
		}
	default:
		text = metaGetOf(ks, op)
	}
	return metaResult(text, err)
}

func metaGetOf(g getter, op metaOp) string {
	switch op.kind {
	case metaHas:
		ok, err := g.Has([]byte(op.key))
		return metaResult(fmt.Sprint(ok), err)
	case metaMultiGet:
		values, err := g.MultiGet([]byte(op.key), []byte(op.end), []byte(op.key+"x"))
		return metaResult(fmt.Sprintf("%q", values), err)
	}
	value, err := g.Get([]byte(op.key))
	return metaResult(string(value), err)
}

// metaSeek is Get by an iterator.
func metaSeek(in engine.Reader, key string) string {
	it := in.NewIterator(engine.IterOptions{})
	text, err := "", error(nil)
	if it.SeekGE([]byte(key)) && string(it.Key()) == key {
		text = string(it.Value())
	} else {
		err = engine.ErrNotFound
	}
	if closeErr := it.Close(); closeErr != nil {
		err = closeErr
	}
	return metaResult(text, err)
}

// metaScanOf returns the number of entries of a scan, and a hash of them.
func metaScanOf(in engine.Reader, op metaOp) string {
	var end []byte
	if op.end != "" {
		end = []byte(op.end)
	}
	scan := in.Scan([]byte(op.key), end)
	switch op.kind {
	case metaScanBackward:
		scan = in.ScanBackward([]byte(op.key), end)
	case metaScanPrefix:
		scan = in.ScanPrefix([]byte(op.key))
	}
	h, n := xxhash.New(), 0
	var length [8]byte
	for k, v := range scan {
		length[0], length[1], length[2] = byte(len(k)), byte(len(k)>>8), byte(len(k)>>16)
		h.Write(length[:])
		h.Write(k)
		h.Write(v)
		if n++; n == op.limit {
			break
		}
	}
	return metaResult(fmt.Sprintf("%d entries, %x", n, h.Sum64()), in.Err())
}

// metaWanderOf moves an iterator about.
func metaWanderOf(in engine.Reader, op metaOp) string {
	var o engine.IterOptions
	if op.yes {
		o.Start = []byte(op.key)
		if op.end > op.key {
			o.End = []byte(op.end)
		}
	}
	it := in.NewIterator(o)
	h, at := xxhash.New(), false
	for _, move := range op.operations {
		switch {
		case move.slot == 0:
			at = it.First()
		case move.slot == 1:
			at = it.Last()
		case move.slot == 2:
			at = it.SeekGE([]byte(move.key))
		case move.slot == 3:
			at = it.SeekLT([]byte(move.key))
		case !at:
			continue
		case move.slot < 7:
			at = it.Next()
		default:
			at = it.Prev()
		}
		if at {
			h.Write(it.Key())
			h.Write(it.Value())
		} else {
			h.Write([]byte("end"))
		}
	}
	return metaResult(fmt.Sprintf("%x", h.Sum64()), it.Close())
}

func (r *metaRun) batch(operations []metaOp) error {
	b := r.db.NewBatch()
	for _, op := range operations {
		ks, err := r.db.Keyspace(op.space)
		if err != nil {
			continue
		}
		if err := metaWrite(b.In(ks), op); err != nil {
			return err
		}
	}
	return r.db.Apply(context.Background(), b)
}

func (r *metaRun) transaction(op metaOp) string {
	tx, err := r.db.Begin(engine.TxOptions{})
	if err != nil {
		return metaResult("", err)
	}
	defer tx.Rollback()
	var texts []string
	for _, sub := range op.operations {
		ks, err := r.db.Keyspace(sub.space)
		if err != nil {
			texts = append(texts, metaResult("", err))
			continue
		}
		in := tx.In(ks)
		switch sub.kind {
		case metaPut, metaDelete, metaDeleteRange:
			texts = append(texts, metaResult("ok", metaWrite(in, sub)))
		case metaGet, metaHas, metaMultiGet:
			texts = append(texts, metaGetOf(in, sub))
		default:
			texts = append(texts, metaScanOf(in, sub))
		}
	}
	if op.yes {
		texts = append(texts, metaResult("committed", tx.Commit(context.Background())))
	}
	return strings.Join(texts, "; ")
}

// conflict begins a transaction that reads a key and writes another, and lets a
// write of the one it read, or of a third, come between.
func (r *metaRun) conflict(op metaOp) string {
	ks, err := r.db.Keyspace("")
	if err != nil {
		return metaResult("", err)
	}
	tx, err := r.db.Begin(engine.TxOptions{})
	if err != nil {
		return metaResult("", err)
	}
	defer tx.Rollback()
	text := metaGetOf(tx.In(ks), metaOp{kind: metaGet, key: op.key})
	outside := op.key
	if op.yes {
		outside = op.key + "not read"
	}
	err = errors.Join(ks.Put([]byte(outside), []byte(op.value)), tx.In(ks).Put([]byte(op.end+"written"), []byte(op.value)))
	if err == nil {
		err = tx.Commit(context.Background())
	}
	return text + "; " + metaResult("committed", err)
}

func (r *metaRun) snapshot(slot int) string {
	if r.snapshots[slot] != nil {
		return "there"
	}
	s, err := r.db.Snapshot()
	if err != nil {
		return metaResult("", err)
	}
	r.snapshots[slot] = &metaSnapshotOf{s, map[string]*engine.Keyspace{}}
	list, err := r.db.Keyspaces()
	for _, info := range list {
		if ks, err := r.db.Keyspace(info.Name); err == nil {
			r.snapshots[slot].spaces[info.Name] = ks
		}
	}
	return metaResult("ok", err)
}

// contents tells all that the database holds.
func (r *metaRun) contents() string {
	list, err := r.db.Keyspaces()
	var texts []string
	for _, info := range list {
		texts = append(texts, fmt.Sprintf("%q: %s", info.Name, r.do(metaOp{kind: metaScan, space: info.Name})))
	}
	slices.Sort(texts)
	return metaResult(strings.Join(texts, "; "), err)
}
