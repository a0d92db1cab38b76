//go:build unix

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/verify"
)

var stopSeed = flag.Uint64("stop.seed", uint64(time.Now().UnixNano()), "seed of the moments of TestF18_EveryLongCommand")

// A longCommand is one that may be stopped in the middle.
type longCommand struct {
	args string
	// makes is what appears in the working directory whole or not at all, or, with
	// grows, entry by entry.
	makes string
	grows bool
	// lasts says that it goes on until it is stopped, in a directory of its own.
	lasts bool
	// says stands in what it says when it is asked to stop.
	says string
	// entries are how many my.db may have afterwards, where it writes to that.
	entries []int
}

// stopRun is a directory that commands are stopped in.
type stopRun struct {
	t       *testing.T
	dir     string
	entries int // of my.db, and records of rows.jsonl
	rng     *rand.Rand

	asked, killed, late int // how many ended by being asked, and killed, and by themselves before
}

// The files of the directory: my.db and other.db, which differ, my.backup, chain.db
// with a full backup of its first commit and an incremental one of the others, and
// what to import and to run.
func newStopRun(t *testing.T, entries int) *stopRun {
	s := &stopRun{t: t, dir: t.TempDir(), entries: entries, rng: rand.New(rand.NewPCG(*stopSeed, 0))}
	var rows, batch, script bytes.Buffer
	for i := range entries {
		fmt.Fprintf(&rows, "{\"id\":\"%06d\",\"n\":%d,\"text\":\"%0100d\"}\n", i, i%100, i)
	}
	for i := range entries / 2 {
		fmt.Fprintf(&batch, "put new:%06d %050d\n", i, i)
	}
	for i := range entries / 20 {
		fmt.Fprintf(&script, "put new:%06d %050d\n", i, i)
	}
	for name, b := range map[string]*bytes.Buffer{"rows.jsonl": &rows, "batch.txt": &batch, "script.txt": &script} {
		if err := os.WriteFile(s.path(name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{
		"import my.db rows.jsonl --key {id} -q", "copy my.db other.db -q", "put other.db 000777 other", "backup my.db my.backup -q",
		"put chain.db 000000 first -q", "backup chain.db chain.full --keep-log -q",
		"import chain.db rows.jsonl --key {id} -q", "backup chain.db chain.inc --since chain.full -q",
	} {
		if status, text := s.run(args, nil); status != 0 {
			t.Fatalf("%s: status %d: %s", args, status, text)
		}
	}
	return s
}

func (s *stopRun) path(name string) string { return filepath.Join(s.dir, name) }

// run runs a command, and gives it to do while it runs. The status is -1 where a
// signal ended the process itself. text is what it said on standard error.
func (s *stopRun) run(args string, do func(*exec.Cmd)) (status int, text string) {
	cmd := exec.Command("lightning", strings.Fields(args)...)
	cmd.Dir = s.dir
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if do != nil {
		do(cmd)
	}
	err := cmd.Wait()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// files returns the names of what is in the directory, with sizes and times, but
// for the locks of readers.
func (s *stopRun) files() map[string]string {
	files := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !strings.Contains(path, "LOCK") {
			files[strings.TrimPrefix(path, s.dir)] = ""
			if !d.IsDir() {
				files[strings.TrimPrefix(path, s.dir)] = fmt.Sprint(info.Size(), info.ModTime())
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

// entriesOf verifies a database and returns how many entries it has. To write to
// it, no lock may forbid.
func (s *stopRun) entriesOf(name string, write bool) int {
	s.t.Helper()
	report, err := verify.Run(context.Background(), s.path(name), verify.Options{})
	if err != nil || !report.OK {
		s.t.Fatalf("verify %s: %v, %+v", name, err, report.Findings)
	}
	db, err := engine.Open(s.path(name), &engine.Options{MustExist: true, ReadOnly: !write})
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	err = db.View(func(tx *engine.Tx) error {
		for range tx.Scan(nil, nil) {
			n++
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// left looks for what a command must not leave behind: a file under a name of its
// own, and, unless it was killed, a database under construction or a reader.
func (s *stopRun) left(killed bool) {
	s.t.Helper()
	for _, pattern := range []string{"*.partial-*", "*.partial", "*/LOCK.reader-*", "scratch/*"} {
		if names, _ := filepath.Glob(s.path(pattern)); len(names) > 0 && !killed {
			s.t.Errorf("left behind: %v", names)
		}
	}
}

// restore makes the directory what it was.
func (s *stopRun) restore(fresh string, before map[string]string) {
	s.t.Helper()
	readers, _ := filepath.Glob(s.path("*/LOCK.reader-*")) // of those that were killed
	for _, name := range readers {
		if err := os.Remove(name); err != nil {
			s.t.Fatal(err)
		}
	}
	for name := range s.files() {
		if _, ok := before[name]; !ok {
			for os.RemoveAll(s.path(name)) != nil { // a child of one that was killed may still write
				time.Sleep(time.Millisecond)
			}
		}
	}
	if fresh == "" {
		return
	}
	if err := os.RemoveAll(s.path("my.db")); err != nil {
		s.t.Fatal(err)
	}
	if err := os.CopyFS(s.path("my.db"), os.DirFS(fresh)); err != nil {
		s.t.Fatal(err)
	}
}

// whole checks what a command makes whole or not at all, which is there.
func (s *stopRun) whole(name string) {
	s.t.Helper()
	switch {
	case strings.HasSuffix(name, ".db"):
		if n := s.entriesOf(name, true); n != s.entries {
			s.t.Errorf("%s has %d entries of %d", name, n, s.entries)
		}
	case strings.HasSuffix(name, ".backup"):
		f, err := os.Open(s.path(name))
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		if info, err := engine.VerifyBackup(context.Background(), bufio.NewReader(f)); err != nil || !info.Incremental && info.Entries != uint64(s.entries) || info.Incremental && info.Seq != uint64(s.entries)+1 {
			s.t.Errorf("%s: %+v, %v", name, info, err)
		}
	default:
		f, err := os.Open(s.path(name))
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		plain, err := gzip.NewReader(f)
		var text []byte
		if err == nil {
			text, err = io.ReadAll(plain)
		}
		if n := bytes.Count(text, []byte("\n")); err != nil || n != s.entries {
			s.t.Errorf("%s: %d lines, %v", name, n, err)
		}
	}
}

var saidDone = regexp.MustCompile(`; ([0-9,]+) (?:records?|entry|entries) (?:committed|copied)\n$`)

// stop stops a command with a signal, at some moment of the time that it takes,
// and looks at what it did.
func (s *stopRun) stop(c *longCommand, sig syscall.Signal, takes time.Duration, before map[string]string) {
	t := s.t
	t.Helper()
	delay := time.Duration(s.rng.Int64N(int64(takes)))
	if sig != syscall.SIGKILL { // while it is at work, mostly
		delay = takes/10 + delay*6/10
	}
	status, text := s.run(c.args, func(cmd *exec.Cmd) {
		time.Sleep(delay)
		_ = cmd.Process.Signal(sig) // it may have ended
	})
	killed := status == -1 // a signal that comes before the program has begun kills it, too
	ended := status == 128+int(sig)
	defer func() {
		if t.Failed() {
			t.Fatalf("lightning %s, signal %v after %v: status %d, and it said:\n%s", c.args, sig, delay, status, text)
		}
	}()
	switch {
	case killed:
		s.killed++
	case !ended:
		s.late++
		if want := exitDone; status != want && (status != exitNo || !strings.HasPrefix(c.args, "diff")) {
			t.Errorf("status %d", status)
		}
		if c.lasts {
			t.Errorf("it ended by itself")
		}
	default:
		s.asked++
		if !regexp.MustCompile(`(?m)^lightning: .*interrupted.*\n\z`).MatchString(text) {
			t.Errorf("it does not say that it was interrupted")
		}
		if !strings.Contains(text, c.says) {
			t.Errorf("it does not say %q", c.says)
		}
	}
	if c.lasts && killed {
		return // what they leave then is in a directory of their own
	}
	s.left(killed)
	if c.entries == nil {
		now := s.files()
		for name, was := range before {
			if now[name] != was {
				t.Errorf("%s was %s, and is %s", name, was, now[name])
			}
		}
	}
	n := s.entriesOf("my.db", c.entries != nil)
	if c.entries == nil && n != s.entries {
		t.Errorf("my.db has %d entries", n)
	}
	if c.entries != nil && (n < c.entries[0] || n > c.entries[len(c.entries)-1] || len(c.entries) == 2 && n != c.entries[0] && n != c.entries[1]) {
		t.Errorf("my.db has %d entries, want %v", n, c.entries)
	}
	if c.makes == "" {
		return
	}
	_, err := os.Stat(s.path(c.makes))
	there := err == nil
	switch {
	case !there && !ended && !killed:
		t.Errorf("there is no %s", c.makes)
	case there && c.grows && killed: // it may be in the middle of being created
	case there && c.grows && ended:
		n := s.entriesOf(c.makes, true)
		if m := saidDone.FindStringSubmatch(text); m == nil || strings.ReplaceAll(m[1], ",", "") != strconv.Itoa(n) {
			t.Errorf("%s has %d entries, and it said %q", c.makes, n, m)
		}
	case there && ended:
		t.Errorf("there is a %s", c.makes)
	case there:
		s.whole(c.makes)
	}
	if !killed {
		return
	}
	if there && !c.grows {
		for _, made := range []string{c.makes, "report.json"} { // of repair, which may have done all
			if err := os.RemoveAll(s.path(made)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if status, text := s.run(c.args, nil); status != 0 {
		t.Errorf("the same command again: status %d: %s", status, text)
	}
	s.whole(c.makes)
	if names, _ := filepath.Glob(s.path("*.partial")); len(names) > 0 {
		t.Errorf("still there: %v", names)
	}
}

// F18, F22: every command that takes long is stopped by SIGINT, SIGTERM and
// SIGKILL, at random moments.
//
//  1. A signal that asks ends it with 128 and its number, and it says that it was
//     interrupted, and how much is committed.
//  2. What it makes whole or not at all is not there, or whole; what it commits by
//     and by is as much as it said; all else is as it was.
//  3. No file is left behind under another name, no reader, and no lock.
//  4. After SIGKILL the databases are whole, nobody has them locked, and the same
//     command does what it should have done.
func TestF18_EveryLongCommand(t *testing.T) {
	entries, times := 10_000, 1
	if figure.Scale() > 1 {
		entries, times = 40_000, figure.Times(1)
	}
	t.Logf("-stop.seed=%d", *stopSeed)
	s := newStopRun(t, entries)
	if err := os.Mkdir(s.path("scratch"), 0o700); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	if err := os.CopyFS(fresh, os.DirFS(s.path("my.db"))); err != nil {
		t.Fatal(err)
	}
	before := s.files()
	for _, c := range []longCommand{
		{args: "export my.db new.jsonl.gz", makes: "new.jsonl.gz"},
		{args: "export my.db --to csv"},
		{args: "backup my.db new.backup --verify", makes: "new.backup"},
		{args: "backup my.db -"},
		{args: "backup chain.db new.backup --since chain.full --verify", makes: "new.backup", says: "new.backup was not written"},
		{args: "restore new.db my.backup", makes: "new.db"},
		{args: "restore new.db chain.full --apply chain.inc", makes: "new.db"},
		{args: "repair my.db new.db --report report.json", makes: "new.db"},
		{args: "verify my.db"},
		{args: "verify my.db --resume my.scrub"},
		{args: "verify my.backup", says: " of it were read"},
		{args: "inspect tree my.db"},
		{args: "hash my.db"},
		{args: "diff my.db other.db"},
		{args: "du my.db --sep 0"},
		{args: "top my.db"},
		{args: "stats my.db --histogram"},
		{args: "scan my.db"},
		{args: "scan my.db --count-by .n"},
		{args: "count my.db --where .n>50"},
		{args: "copy my.db new.db", makes: "new.db", grows: true},
		{args: "import new.db rows.jsonl --key {id} --batch 1000", makes: "new.db", grows: true},
		{args: "import new.db rows.jsonl --key {id} --batch 1000 --resume --sync full", makes: "new.db", grows: true},
		{args: "import new.db rows.jsonl --key {id} --sorted", makes: "new.db", says: "; no database was made"},
		{args: "import my.db rows.jsonl --key again:{id}", entries: []int{entries, entries + 1, 2 * entries}},
		{args: "compact my.db", entries: []int{entries}},
		{args: "checkpoint my.db", entries: []int{entries}},
		{args: "delete my.db --prefix 00 --yes", entries: []int{entries - min(10_000, entries), entries}},
		{args: "delete my.db --where .n<50 --yes", entries: []int{entries / 2, entries}},
		{args: "batch my.db batch.txt", entries: []int{entries, entries + entries/2}},
		{args: "shell my.db --write --sync off -f script.txt", entries: []int{entries, entries + 1, entries + entries/20}},
		{args: "stats my.db --watch 10ms", lasts: true},
		{args: "stress --duration 1h --threads 2 --dir scratch", lasts: true},
		{args: "stress --dir scratch", lasts: true},
		{args: "bench fillseq readrandom --num 20000 --ops 1000000000000 --duration 1h --dir scratch", lasts: true},
		{args: "crashtest --duration 1h --dir scratch", lasts: true},
		{args: "crashtest --mode kill --duration 1h --jobs 1 --dir scratch", lasts: true},
	} {
		writes := ""
		if c.entries != nil {
			writes = fresh
		}
		takes := time.Second
		if !c.lasts {
			began := time.Now()
			if status, text := s.run(c.args, nil); status != 0 && !strings.HasPrefix(c.args, "diff") {
				t.Fatalf("%s: status %d: %s", c.args, status, text)
			}
			takes = time.Since(began)
			s.restore(writes, before)
		}
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
			for range times {
				if testing.Short() && sig == syscall.SIGINT {
					continue
				}
				s.stop(&c, sig, takes, before)
				s.restore(writes, before)
				if writes != "" {
					maps.Copy(before, s.files())
				}
			}
		}
	}
	t.Logf("%d were interrupted, %d killed, %d done before", s.asked, s.killed, s.late)
}

// F18: who reads standard output need not go on reading: a signal ends the
// command all the same.
func TestF18_NobodyReadsOn(t *testing.T) {
	dir := database(t, 20_000)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("lightning", "scan", dir)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = write, &said
	if err := errors.Join(cmd.Start(), write.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := read.Read(make([]byte, 1)); err != nil { // the pipe is full, or will be
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 143 || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("status %d; it said:\n%s", status, &said)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "LOCK.reader-*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// F18: what whoever starts a command had ignored is not for it: nohup has SIGHUP
// ignored, and a shell that runs a script SIGINT for what it runs beside it.
func TestF18_IgnoredSignals(t *testing.T) {
	const entries = 20_000
	dir := database(t, entries)
	cmd := exec.Command("sh", "-c", `trap '' HUP INT; exec lightning scan "$0"`, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := out.Read(first); err != nil { // the pipe is full, or will be
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(out)
	if lines := bytes.Count(append(first, text...), []byte("\n")); err != nil || lines != entries {
		t.Errorf("%d lines of %d, %v", lines, entries, err)
	}
	if err := cmd.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("%v; it said:\n%s", err, &said)
	}
}

// F18: nor does a command wait on for a lock. It names who has it, also where the
// signal comes before it waits.
func TestF18_WaitingForALock(t *testing.T) {
	dir := database(t, 1)
	db, err := engine.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, after := range []time.Duration{0, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) { // whose clock goes on where it waits
			ctx, cancel := context.WithCancelCause(t.Context())
			if after == 0 {
				cancel(interrupted{syscall.SIGTERM})
			}
			time.AfterFunc(after, func() { cancel(interrupted{syscall.SIGTERM}) })
			status, out, text := runHere(ctx, nil, "put", dir, "k", "v", "--timeout", "100h")
			if status != 143 || out != "" || !strings.Contains(text, "interrupted") || !strings.Contains(text, "is in use by pid") {
				t.Errorf("after %v: status %d, %q, %q", after, status, out, text)
			}
		})
	}
}

// F18: a checkpoint that is stopped says how much there still was to merge.
func TestF18_Checkpoint(t *testing.T) {
	dir := database(t, 1)
	db, err := engine.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Put([]byte("k"), make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	crashed := filepath.Join(t.TempDir(), "db")
	if err := os.MkdirAll(filepath.Join(crashed, "wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"btree.db", "wal/0000000000000001.log"} { // the next segment is being made
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(crashed, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(interrupted{syscall.SIGTERM})
	status, _, text := runHere(ctx, nil, "checkpoint", crashed)
	if status != 143 || text != "lightning: checkpoint: interrupted; at most 100.0 kB of log are left to merge\n" {
		t.Errorf("status %d, %q", status, text)
	}
}

// A repair that is called wrongly leaves no report behind.
func TestRepair_WrongFlagLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	status, _, text := runHere(t.Context(), nil, "repair", database(t, 1), filepath.Join(dir, "new.db"), "--report", filepath.Join(dir, "report.json"), "--progress", "never")
	if names, err := os.ReadDir(dir); status != exitUsage || err != nil || len(names) > 0 {
		t.Errorf("status %d, %q; left behind: %v, %v", status, text, names, err)
	}
}
