//go:build amd64 || arm64

package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/stress"
)

// Syscall runs command lines of lightning, one after the other, each on a
// database that is prepared for it, and kills them before the first, the second,
// … call that changes a file; with o.Count it leaves out as many calls as leaves
// so many kills to all command lines together. After each kill
//
//  1. the database is verified, and holds what it held before or what it is to
//     hold then, whole; of an import, what its first batches made; where the
//     command makes it, there may be none, or an empty one; a file is there
//     whole or not at all, or as it was;
//  2. what the command only reads is as it was, to the byte, but for locks;
//  3. the same command is run again, and does what it is to do; at every fourth
//     kill it is killed again before that, anywhere.
//
// And a command that ends with status 0 has done it. Stores into the mapped log
// are no calls: between two of them nothing is killed.
func Syscall(ctx context.Context, o Options) (Report, error) {
	var chosen []*line
	names := ""
	for i := range lines {
		l := &lines[i]
		names += " " + l.name
		if o.Run == nil || o.Run.Match([]byte(l.name)) {
			chosen = append(chosen, l)
		}
	}
	if len(chosen) == 0 {
		return Report{}, fmt.Errorf("%w: --run matches none of%s", ErrNoChoice, names)
	}
	return do(ctx, o, func(ctx context.Context, r *run, i uint64) error {
		dir, err := r.newDir("syscall", i)
		if err != nil {
			return err
		}
		s := &victim{
			run: r, ctx: ctx, line: chosen[i%uint64(len(chosen))], seed: o.Seed + i/uint64(len(chosen)),
			dir: dir, work: filepath.Join(dir, "work"),
		}
		if s.counter, err = newCounter(); err != nil {
			return errors.Join(err, stress.RemoveTree(dir))
		}
		defer s.counter.close()
		n, err := s.all((o.Count + len(chosen) - 1) / len(chosen))
		if err != nil {
			wrong := fmt.Errorf("lightning %s, killed before call %d of %d: %w", s.args, n, s.calls, err)
			if n == 0 {
				wrong = fmt.Errorf("lightning %s: %w", s.args, err)
			}
			return r.keep(ctx, &Failure{
				Err: wrong, Dir: dir,
				Repeat: fmt.Sprintf("lightning crashtest --mode syscall --seed %d --run ^%s$", s.seed, s.name),
			}, "It is in work, as the last kill or the run after it left it; it began with base.\n")
		}
		return stress.RemoveTree(dir)
	})
}

// victim is a command line that is killed.
type victim struct {
	*run
	*counter
	*line
	ctx       context.Context
	seed      uint64
	dir, work string

	// What it begins with: the directory base in dir.
	holds contents
	rows  []edit // of the files that are imported
	large string
	// The fingerprints of base and of the database in it.
	base, db string

	// Of the first run, to its end:
	calls int
	whole string // what it wrote to the file new
	names string // in the directory of the database, then

	found Report // since it was last added
}

// all runs the command line to its end, and then kills it, so often if kills is
// not 0. With an error it returns the call that it was killed before.
func (s *victim) all(kills int) (n int, err error) {
	rng := rand.New(rand.NewPCG(s.seed, 0))
	if err := s.prepare(rng); err != nil {
		return 0, err
	}
	if err := s.toEnd(); err != nil {
		return 0, err
	}
	s.found.Scenarios, s.found.Points = 1, s.calls
	stride := 1
	if kills > 0 {
		stride = max(1, (s.calls*5/4+kills-1)/kills) // of four, one is killed twice
	}
	for n := 1 + rng.IntN(stride); n <= s.calls && !s.over(); n += stride {
		if err := s.killAt(n, rand.New(rand.NewPCG(s.seed, uint64(n)))); err != nil {
			return n, err
		}
		s.add(s.found)
		s.found = Report{}
	}
	return 0, nil
}

// prepare makes the base.
func (s *victim) prepare(rng *rand.Rand) error {
	dir := filepath.Join(s.dir, "base")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	text := func(size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = 'a' + byte(rng.IntN(26))
		}
		return string(b)
	}
	s.large = text(100_000 + rng.IntN(300_000))
	csv, jsonl := "id,name\n", ""
	for range 40 + rng.IntN(40) {
		id, name := strconv.Itoa(rng.IntN(90)), text(rng.IntN(60))
		s.rows = append(s.rows, edit{space: s.space, key: "row:" + id, value: name})
		csv += id + "," + name + "\n"
		jsonl += `{"key":"row:` + id + `","value":"` + name + "\"}\n"
	}
	var err error
	for _, file := range [...][2]string{{"large", s.large}, {"rows.csv", csv}, {"rows.jsonl", jsonl}, {"keys", "k0007\nk0009\nnothing\n"}} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o600))
	}
	if err != nil {
		return err
	}
	made, copied := filepath.Join(s.dir, "made"), filepath.Join(dir, "db")
	db, err := engine.Open(made, &engine.Options{Sync: engine.SyncOff, SegmentBytes: 256 << 10})
	if err != nil {
		return err
	}
	killed := rng.IntN(2) == 0
	err = s.fill(db, rng, text)
	if killed {
		err = errors.Join(err, copyTree(copied, vfs.OS(), made)) // as a process leaves it that is killed
	}
	err = errors.Join(err, db.Close())
	if !killed {
		err = errors.Join(err, copyTree(copied, vfs.OS(), made))
	}
	for _, name := range [...]string{"backup", "backup.zst"} {
		if err == nil {
			_, err = s.start("backup db "+name, dir, 0, 0)
		}
	}
	if err = errors.Join(err, stress.RemoveTree(made)); err == nil {
		s.base, err = fingerprint(dir)
	}
	if err == nil {
		s.db, err = fingerprint(copied)
	}
	return err
}

// fill puts entries into two keyspaces, merges some into the tree, and replaces
// and deletes some. It makes a backup of the first of them, and one of the others.
func (s *victim) fill(db *engine.DB, rng *rand.Rand, text func(int) string) error {
	const name = "side"
	edits := []edit{{kind: create, space: name}}
	_, err := db.CreateKeyspace(name, nil)
	do := func(e edit) {
		ks, ksErr := db.Keyspace(e.space)
		if err = errors.Join(err, ksErr); err == nil {
			err = e.apply(ks)
		}
		edits = append(edits, e)
	}
	n := 30 + rng.IntN(600)
	merge := rng.IntN(n)
	var full engine.BackupInfo
	for i := range n {
		key, size := fmt.Sprintf("k%04d", i), rng.IntN(200)
		if rng.IntN(60) == 0 {
			size = rng.IntN(40_000)
		}
		do(edit{key: key, value: text(size)})
		if i%4 == 0 {
			do(edit{space: name, key: key, value: text(size)})
		}
		if i%16 == 5 {
			do(edit{kind: remove, key: fmt.Sprintf("k%04d", rng.IntN(n))})
		}
		if i == merge {
			_, mergeErr := db.Checkpoint(s.ctx)
			err = errors.Join(err, mergeErr, engine.KeepLog(vfs.OS(), db.Path(), true))
			if err == nil {
				full, err = s.backup(db, "full", nil)
			}
		}
	}
	if err == nil {
		_, err = s.backup(db, "inc", &full)
	}
	s.holds = contents{{}}.with(edits)
	return errors.Join(err, engine.KeepLog(vfs.OS(), db.Path(), false))
}

// backup makes a backup among the base's files.
func (s *victim) backup(db *engine.DB, name string, since *engine.BackupInfo) (engine.BackupInfo, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "base", name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return engine.BackupInfo{}, err
	}
	info, err := db.Backup(s.ctx, f, &engine.BackupOptions{Since: since})
	return info, errors.Join(err, f.Close())
}

// begin makes what the line is run on, and returns what its target holds.
func (s *victim) begin() (contents, error) {
	now := s.holds
	err := errors.Join(stress.RemoveTree(s.work), os.Mkdir(s.work, 0o700))
	if err == nil && strings.Contains(s.args, " db") {
		err = copyTree(filepath.Join(s.work, "db"), vfs.OS(), filepath.Join(s.dir, "base", "db"))
	}
	if err == nil && s.to == overFile {
		err = os.WriteFile(filepath.Join(s.work, "new"), []byte(wasThere), 0o600)
	}
	if s.to == toNew {
		now = nil
	}
	return now, err
}

const wasThere = "what was there"

// start runs the program, in a directory, and kills it before its n-th call; or
// it ends with a status.
func (s *victim) start(args, dir string, n, status int) (ended, error) {
	out, err := os.Create(filepath.Join(s.dir, "printed"))
	if err != nil {
		return ended{}, err
	}
	defer out.Close()
	e, err := s.counter.run(s.Program, strings.Fields(args), dir, out, n)
	if err == nil && !e.killed && e.status != status {
		if err = stress.NoRoom(e.status, dir); err == nil {
			err = fmt.Errorf("status %d, want %d", e.status, status)
		}
	}
	if err != nil {
		text, readErr := os.ReadFile(out.Name())
		err = errors.Join(readErr, fmt.Errorf("%w: %s", err, text))
	}
	return e, err
}

// status is what the line exits with, also where it has been done before.
func (l *line) status(before bool) int {
	if before {
		return int(l.done)
	}
	return 0
}

// database is where the database is that it works on.
func (l *line) database() string {
	if l.to == toNew {
		return "new"
	}
	return "db"
}

// toEnd runs the line to its end, twice, and notes what to expect of it.
func (s *victim) toEnd() error {
	now, err := s.begin()
	last := false
	for range 2 {
		if err != nil {
			return err
		}
		var e ended
		if e, err = s.start(s.args, s.work, 0, s.status(last)); err != nil {
			return err
		}
		if !last {
			s.calls = e.calls
			whole, _ := os.ReadFile(filepath.Join(s.work, "new")) // where it writes one
			s.whole = string(whole)
		}
		now, last, err = s.look(now, last, true)
	}
	if err != nil {
		return err
	}
	names, err := vfs.OS().List(filepath.Join(s.work, s.database()))
	s.names = strings.Join(names, " ")
	return err
}

// killAt kills the line before its n-th call, judges, and runs it again.
func (s *victim) killAt(n int, rng *rand.Rand) error {
	now, err := s.begin()
	last := false
	for kills := 1 + rng.IntN(4)/3; kills >= 0 && err == nil; kills-- {
		if kills == 0 {
			n = 0
		}
		var e ended
		if e, err = s.start(s.args, s.work, n, s.status(last)); err != nil {
			return err
		}
		if e.killed {
			s.found.States++
		}
		now, last, err = s.look(now, last, !e.killed)
		n = 1 + rng.IntN(s.calls)
	}
	if err != nil {
		return err
	}
	for _, place := range [...][2]string{{s.database(), s.names}, {"", "db new"}} {
		names, err := vfs.OS().List(filepath.Join(s.work, place[0]))
		if err != nil {
			return err
		}
		for _, name := range names {
			// Documented: the file under another name, of a process that was
			// killed, and the place of a reader, until a writer makes use of space.
			if !strings.Contains(place[1], name) && !strings.HasPrefix(name, "new.partial-") && !strings.HasPrefix(name, "LOCK.reader-") {
				return fmt.Errorf("%s is left when it was run again", filepath.Join(place[0], name))
			}
		}
	}
	return nil
}

// look holds what is there against what may be there: what was before, and what
// the commits of the line make of it one after the other; where it is done, only
// the last. It returns what the target holds, and whether that is the last.
func (s *victim) look(before contents, wasLast, done bool) (now contents, last bool, err error) {
	if err := s.lookAtSources(); err != nil {
		return nil, false, err
	}
	want := []contents{before}
	if !wasLast || s.done == 0 {
		want = s.steps(before)
	}
	if done {
		want = want[len(want)-1:]
	}
	for _, name := range [...]string{"db", "new"} {
		may := []contents{nil}
		switch {
		case s.to >= toFile && name == "new":
			last, err := s.lookAtFile(done)
			return before, last, err
		case s.to <= toNew && name == s.database():
			may = want
		case name == "db" && strings.Contains(s.args, " db"):
			may = []contents{s.holds}
		}
		i, err := s.find(filepath.Join(s.work, name), may)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", name, err)
		}
		if name == s.database() {
			now, last = may[i], i == len(may)-1
		}
	}
	return now, last, nil
}

// lookAtSources makes sure that no byte has changed of what is only read.
func (s *victim) lookAtSources() error {
	now, err := fingerprint(filepath.Join(s.dir, "base"))
	if err == nil && now != s.base {
		return fmt.Errorf("a file that is only read has changed: %s, want %s", now, s.base)
	}
	if err == nil && s.to != toDB && strings.Contains(s.args, " db") {
		now, err = fingerprint(filepath.Join(s.work, "db"))
		if err == nil && now != s.db {
			return fmt.Errorf("the database that is only read has changed: %s, want %s", now, s.db)
		}
	}
	return err
}

// find returns the number of the last of some contents that a database has. Of
// none it has nil.
func (s *victim) find(path string, may []contents) (int, error) {
	var db *engine.DB
	err := stress.Verify(s.ctx, path)
	missing := errors.Is(err, engine.ErrNotExist)
	if err == nil {
		db, err = engine.Open(path, &engine.Options{ReadOnly: true, MustExist: true, CacheBytes: 1 << 20})
	}
	if err == nil {
		defer db.Close()
		report := db.OpenReport()
		s.found.opened(&report)
	} else if !missing {
		return 0, err
	}
	for i := len(may) - 1; i >= 0; i-- {
		switch {
		case missing != (may[i] == nil):
			err = fmt.Errorf("it is there: %t", !missing)
		case missing:
			return i, nil
		default:
			if err = may[i].compare(db, false); err == nil {
				for _, in := range may[i] {
					s.found.Promised += int64(len(in.entries))
				}
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("it holds what no commit made: %w", err)
}

// lookAtFile judges the file that the line writes.
func (s *victim) lookAtFile(done bool) (last bool, err error) {
	data, err := os.ReadFile(filepath.Join(s.work, "new"))
	text := string(data)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !missing:
		return false, err
	case !missing && s.same(text):
		return true, nil
	case !done && (missing && s.to == toFile || s.to == overFile && text == wasThere):
		return false, nil
	}
	return false, fmt.Errorf("the file has %d bytes, want %d or as it was", len(text), len(s.whole))
}

// same compares a file with the whole one: of a backup, which has its time in
// its checksums, only the size, and that it is one.
func (s *victim) same(text string) bool {
	if !strings.HasPrefix(s.whole, "LGTNGBAK") {
		return text == s.whole
	}
	_, err := engine.VerifyBackup(s.ctx, strings.NewReader(text))
	return err == nil && len(text) == len(s.whole)
}
