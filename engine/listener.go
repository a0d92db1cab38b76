package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// listener delivers events to Options.Events.
//
//  1. They are delivered one at a time, in the order in which they were told, by
//     a goroutine that holds no lock. Opened is the first and Closed the last.
//  2. Nobody waits for it but Close, and that for closeWait at most: maxQueued
//     events may wait for it, those that do not fit are counted.
//  3. One that has panicked is called no more, and none once Close has returned.
//
// mu is locked after all other locks, and held for no longer than an append.
type listener struct {
	listen   func(Event)
	counters *counters
	wake     chan struct{} // there is something in queue, or it is over
	ended    chan struct{} // closed when nobody is called any more

	mu       sync.Mutex      // guards all below
	queue    []Event         // oldest first
	over     bool            // nothing more goes into queue
	lost     uint64          // since the newest in queue
	allLost  uint64          // ever
	panicked string          // what it panicked with
	full     time.Time       // since when the disk is full; zero: it is not
	damaged  map[damage]bool // places that were told
}

// damage is a place in a file.
type damage struct {
	path   string
	offset int64
}

const (
	maxQueued  = 256
	maxDamaged = 256
	closeWait  = time.Second
)

// listen starts the delivery, with the event that the database is open, and tells
// and counts the filters that could not be read.
func (db *DB) listen() {
	if db.opts.Events != nil {
		db.listener = &listener{
			listen:   db.opts.Events,
			counters: &db.counters,
			wake:     make(chan struct{}, 1),
			ended:    make(chan struct{}),
			damaged:  map[damage]bool{},
		}
		db.tell(&Opened{Path: db.dir, Report: db.report})
	}
	v := db.version.Load()
	for _, sp := range v.spaces.byID {
		for _, r := range sp.runs {
			if r.filter == nil { // it could not be read
				_, err := v.pager.ReadPlain(r.filterRef, sp.id)
				_ = db.readError(err)
			}
		}
	}
	if db.listener != nil {
		go db.listener.run(db.cacheWatch())
	}
}

// tell queues an event, if there is a listener.
func (db *DB) tell(e Event) {
	if l := db.listener; l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.tellLocked(e)
	}
}

func (l *listener) tellLocked(e Event) {
	_, last := e.(*Closed)
	switch {
	case l.over:
		return
	case len(l.queue) >= maxQueued && !last:
		l.lost++
		l.allLost++
		return
	}
	*e.Head() = EventHead{Time: time.Now(), Lost: l.lost}
	l.lost = 0
	l.queue = append(l.queue, e)
	l.over = last
	signal(l.wake)
}

// run delivers what is told until it is over, and calls look now and then.
func (l *listener) run(look func()) {
	defer close(l.ended)
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		e, over := l.next()
		switch {
		case over:
			return
		case e != nil:
			l.call(e)
			continue
		}
		select {
		case <-l.wake:
		case <-ticker.C:
			look()
		}
	}
}

// next takes the oldest event, nil where there is none, or says that it is over.
func (l *listener) next() (e Event, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil, l.over
	}
	e = l.queue[0]
	l.queue = l.queue[1:]
	return e, false
}

// call calls the listener, for the last time if it does not return.
func (l *listener) call(e Event) {
	returned := false
	defer func() {
		if returned {
			return
		}
		_ = l.counters.noteError(errCallback)
		if p := recover(); p != nil {
			l.stop(fmt.Sprint(p))
		} else {
			l.stop("runtime.Goexit")
		}
	}()
	l.listen(e)
	returned = true
}

// stop ends the delivery, but for a call that is under way.
func (l *listener) stop(panicked string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue, l.over, l.panicked = nil, true, panicked
	signal(l.wake)
}

// tellClosed tells that the database was closed, and lets the listener take
// what waits for it, for as long as it may.
func (db *DB) tellClosed(began time.Time, err error) {
	l := db.listener
	if l == nil {
		return
	}
	db.tell(&Closed{Duration: time.Since(began), Err: err})
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-l.ended:
	case <-timer.C:
		l.stop("")
	}
}

// notice tells of damage, or of a full disk, if that is what err says.
func (db *DB) notice(err error) {
	l := db.listener
	if l == nil || err == nil {
		return
	}
	err = public(err)
	corrupt, damaged := errors.AsType[*CorruptError](err)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case damaged:
		at := damage{corrupt.Path, corrupt.Offset}
		if l.damaged[at] {
			return
		}
		if len(l.damaged) >= maxDamaged {
			clear(l.damaged)
		}
		l.damaged[at] = true
		l.tellLocked(&Corruption{Err: corrupt})
	case isFull(err) && l.full.IsZero():
		l.full = time.Now()
		l.tellLocked(&DiskFull{Err: err})
	}
}

// readError tells and counts an error of reading, and returns what the caller gets.
func (db *DB) readError(err error) error {
	db.notice(err)
	return db.counters.noteError(public(err))
}

// lookForSpace finds out whether the disk is still full, if it was: there is the
// ballast again, and so there may be space for the next log segment.
func (db *DB) lookForSpace() {
	l := db.listener
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.full.IsZero() && db.ballast.Load() {
		signal(db.prepare)
	}
}

// noticeSpace tells that the disk is no longer full, if it was: the next log
// segment is there, and the ballast, for which a checkpoint has to look.
func (db *DB) noticeSpace() {
	l := db.listener
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.full.IsZero():
	case !db.ballast.Load():
		signal(db.wake)
	default:
		l.tellLocked(&SpaceRegained{Duration: time.Since(l.full)})
		l.full = time.Time{}
	}
}

// background tells of an error of the engine's own work.
func (db *DB) background(doing string, err error) {
	if err == nil || db.closing() {
		return
	}
	db.notice(err)
	if !isFull(err) && !errors.Is(err, ErrFailed) {
		db.tell(&BackgroundError{Doing: doing, Err: public(err)})
	}
}

// tellCheckpoint tells that a checkpoint begins, and returns what tells that it
// has ended. The caller holds checkpointMu.
func (db *DB) tellCheckpoint(kind CheckpointKind, operations int) (ended func(error)) {
	if db.listener == nil {
		return func(error) {}
	}
	p := db.version.Load().pager
	began, written, logBefore := time.Now(), p.Stats().WrittenBytes, db.logBytes(p)
	db.tell(&CheckpointBegun{Kind: kind, Operations: operations, LogBytes: logBefore})
	return func(err error) {
		db.tell(&CheckpointEnded{
			Kind:       kind,
			Operations: operations,
			Bytes:      int64(p.Stats().WrittenBytes - written),
			LogBefore:  logBefore,
			LogAfter:   db.logBytes(p),
			Duration:   time.Since(began),
			Err:        public(err),
		})
	}
}

// logBytes is how long the log is from where recovery would start.
func (db *DB) logBytes(p *pager.Pager) int64 {
	return int64(uint64(db.log.End()) - p.Meta().LogStart)
}

func (db *DB) tellRotated(segment uint64, bytes int64, waited time.Duration) {
	db.tell(&LogRotated{Segment: segment, Bytes: bytes, Waited: waited})
}

// stall is the commits that wait for a checkpoint at the moment.
type stall struct {
	cause   StallCause
	began   time.Time
	waiting int
	commits int // that have waited since it began
}

// beginStall notes that one more commit waits. The caller holds mu.
func (db *DB) beginStall() {
	s := &db.stall
	if s.waiting == 0 {
		*s = stall{cause: StallLog, began: time.Now()}
		if v := db.version.Load(); v != nil && v.active.table.Bytes() >= db.opts.MemtableBytes {
			s.cause = StallMemtables
		}
		db.tell(&StallBegun{Cause: s.cause})
	}
	s.waiting++
	s.commits++
}

// endStall notes that one waits no more, and why not. The caller holds mu.
func (db *DB) endStall(err error) {
	s := &db.stall
	if s.waiting--; s.waiting == 0 {
		db.tell(&StallEnded{Cause: s.cause, Commits: s.commits, Duration: time.Since(s.began), Err: err})
	}
}

// begin returns when an operation begins, and zero where nobody asks how long it
// takes.
func (db *DB) begin() (began time.Time) {
	if db.opts.SlowOperation > 0 {
		began = time.Now()
	}
	return began
}

// took tells of an operation that began then, if it took long.
func (db *DB) took(began time.Time, operation, keyspace string, operations, bytes int, err error) {
	if !began.IsZero() {
		db.tookTime(time.Since(began), operation, keyspace, operations, bytes, err)
	}
}

func (db *DB) tookTime(d time.Duration, operation, keyspace string, operations, bytes int, err error) {
	if d >= db.opts.SlowOperation {
		db.tell(&SlowOperation{Operation: operation, Keyspace: keyspace, Operations: operations, Bytes: bytes, Duration: d, Err: public(err)})
	}
}

// timedDescend is descend of a version that is timed.
func (v *version) timedDescend(sp *space, key []byte, hash uint64, dst []byte) (value []byte, found bool, err error) {
	untimed := *v
	untimed.timed = nil
	began := v.timed.begin()
	value, found, err = untimed.descend(sp, key, hash, dst)
	v.timed.took(began, "get", sp.name, 0, len(value)-len(dst), err)
	return value, found, err
}

// timedHas is has of a version that is timed.
func (v *version) timedHas(sp *space, key []byte, hash uint64, seq kv.Seq) (bool, error) {
	untimed := *v
	untimed.timed = nil
	began := v.timed.begin()
	ok, err := untimed.has(sp, key, hash, seq)
	v.timed.took(began, "has", sp.name, 0, 0, err)
	return ok, err
}

// When the cache is looked at, and when it is under pressure.
const (
	lookInterval   = 10 * time.Second
	pressureMisses = 1000
	pressureHits   = 80 // percent
)

// cacheWatch returns what looks at the cache, and tells when it has come under
// pressure.
func (db *DB) cacheWatch() func() {
	var before pager.Stats
	under := false
	return func() {
		v := db.version.Load()
		if v == nil {
			return
		}
		now := v.pager.Stats()
		// Another pager, after Refresh, begins anew.
		hits, misses := int64(now.Hits-before.Hits), int64(now.Misses-before.Misses)
		before = now
		was := under
		under = misses >= pressureMisses && hits >= 0 && hits*100 < pressureHits*(hits+misses) &&
			now.CacheBytes >= now.CacheLimit/10*9
		if under && !was {
			db.tell(&CachePressure{Hits: uint64(hits), Misses: uint64(misses), CacheBytes: now.CacheBytes, CacheLimit: now.CacheLimit})
		}
	}
}
