//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// An importProcess is an import that reads from a pipe that the test writes.
type importProcess struct {
	*exec.Cmd
	in       io.WriteCloser
	messages *bufio.Scanner
}

func startImport(t *testing.T, db string, flags ...string) *importProcess {
	t.Helper()
	args := append([]string{"import", db, "-", "--from", "jsonl", "--key", "{id}", "--progress", "json"}, flags...)
	p := &importProcess{Cmd: exec.Command("lightning", args...)}
	var err error
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	messages, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.messages = bufio.NewScanner(messages)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *importProcess) feed(t *testing.T, from, to int) {
	t.Helper()
	w := bufio.NewWriter(p.in)
	for i := from; i < to; i++ {
		fmt.Fprintf(w, "{\"id\":%d}\n", i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

var committedField = regexp.MustCompile(`"committed":(\d+)`)

// waitCommitted returns the number of a report once it is at least that large.
func (p *importProcess) waitCommitted(t *testing.T, least int) int {
	t.Helper()
	for p.messages.Scan() {
		if m := committedField.FindStringSubmatch(p.messages.Text()); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil && n >= least {
				return n
			}
		}
	}
	t.Fatal("the import ended before it reported")
	return 0
}

// rest returns what is left of standard error, and waits for the end.
func (p *importProcess) rest() (string, int) {
	var lines []string
	for p.messages.Scan() {
		lines = append(lines, p.messages.Text())
	}
	_ = p.Wait()
	return strings.Join(lines, "\n"), p.ProcessState.ExitCode()
}

func count(t *testing.T, db string) int {
	t.Helper()
	out, err := exec.Command("lightning", "count", db).Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// F18: Ctrl-C while the import waits for input: what was read is committed, the
// message says how many records that is, and the status is 130.
func TestF18_Interrupted(t *testing.T) {
	db := filepath.Join(t.TempDir(), "my.db")
	p := startImport(t, db)
	p.feed(t, 0, 20_500)
	p.waitCommitted(t, 20_000)
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	text, status := p.rest()
	m := regexp.MustCompile(`lightning: standard input: interrupted; (\d+) records committed`).FindStringSubmatch(text)
	if status != 130 || m == nil {
		t.Fatalf("status %d, want 130; standard error:\n%s", status, text)
	}
	if have := strconv.Itoa(count(t, db)); have != m[1] {
		t.Errorf("the database has %s records, the message says %s", have, m[1])
	}
}

// F18: the other signals that ask a program to end do the same, with their own
// statuses, and the database is closed in order.
func TestF18_Signals(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGHUP: 129, syscall.SIGQUIT: 131} {
		db := filepath.Join(t.TempDir(), "my.db")
		p := startImport(t, db)
		p.feed(t, 0, 20_500)
		p.waitCommitted(t, 20_000)
		if err := p.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if text, status := p.rest(); status != want || !strings.Contains(text, "interrupted; ") {
			t.Errorf("%v: status %d, want %d; standard error:\n%s", sig, status, want, text)
		}
		opened, err := engine.Open(db, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := opened.OpenReport(); !r.Clean {
			t.Errorf("%v: not closed in order: %+v", sig, r)
		}
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
}

// F22: a backup that is killed leaves nothing of its name, or all of it; the
// database is as it was; and the next backup is made.
func TestF22_BackupKilled(t *testing.T) {
	dir := t.TempDir()
	db, file := filepath.Join(dir, "my.db"), filepath.Join(dir, "my.backup")
	p := startImport(t, db)
	p.feed(t, 0, 100_000)
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	if text, status := p.rest(); status != 0 {
		t.Fatalf("import: status %d\n%s", status, text)
	}
	tree := filepath.Join(db, "btree.db")
	before, err := os.ReadFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		cmd := exec.Command("lightning", "backup", db, file, "--verify")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(ended)
		}()
		for begun := false; !begun; { // until its file is there
			names, err := filepath.Glob(file + "*")
			select {
			case <-ended:
				begun = true
			default:
				begun = err != nil || len(names) > 0
			}
		}
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if out, err := exec.Command("lightning", "verify", file).CombinedOutput(); err != nil {
			t.Errorf("what is there is not a whole backup: %v\n%s", err, out)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("lightning", "backup", db, file, "--verify").CombinedOutput(); err != nil {
		t.Errorf("the next backup: %v\n%s", err, out)
	}
	if after, err := os.ReadFile(tree); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database was changed, %v", err)
	}
}

// F24: a killed import: every record that was reported committed is there, in every
// sync mode, and what is there is a prefix of the input.
func TestF24_ImportKilled(t *testing.T) {
	for _, mode := range []string{"full", "normal", "off"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := filepath.Join(t.TempDir(), "my.db")
			p := startImport(t, db, "--sync", mode, "--batch", "1000")
			go func() { // ends when the process is killed
				w := bufio.NewWriter(p.in)
				for i := 0; ; i++ {
					if _, err := fmt.Fprintf(w, "{\"id\":%d}\n", i); err != nil {
						return
					}
				}
			}()
			committed := p.waitCommitted(t, 1000)
			if err := p.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			p.rest()
			n := count(t, db)
			defer func() { // the same again
				p := startImport(t, db, "--sync", mode)
				p.feed(t, 0, 5_000)
				if err := p.in.Close(); err != nil {
					t.Fatal(err)
				}
				if text, status := p.rest(); status != 0 {
					t.Errorf("the next import: status %d\n%s", status, text)
				}
				if again := count(t, db); again != max(n, 5_000) {
					t.Errorf("%d records after the next import, %d before", again, n)
				}
			}()
			if n < committed || n%1000 != 0 {
				t.Fatalf("the database has %d records, %d were reported committed in batches of 1000", n, committed)
			}
			if n == 0 {
				return
			}
			for _, id := range []int{0, n - 1} {
				if err := exec.Command("lightning", "get", db, strconv.Itoa(id)).Run(); err != nil {
					t.Errorf("record %d of %d: %v", id, n, err)
				}
			}
			if out, err := exec.Command("lightning", "verify", db).CombinedOutput(); err != nil {
				t.Errorf("verify: %v\n%s", err, out)
			}
		})
	}
}

// Ctrl-C during a bench: what was finished is printed, the status is 130, and
// the scratch database is gone.
func TestBench_Interrupted(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("lightning", "bench", "fillseq", "readrandom", "--num", "2000", "--ops", "1000000000000",
		"--duration", "1h", "--dir", dir, "--progress", "json")
	var out strings.Builder
	cmd.Stdout = &out
	messages, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last string
	signalled := false // a second one would end the process at once
	for lines := bufio.NewScanner(messages); lines.Scan(); {
		last = lines.Text()
		if !signalled && strings.Contains(last, `"workload":"readrandom"`) {
			signalled = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 || last != "lightning: readrandom: interrupted" {
		t.Errorf("status %d, want 130; last message %q", status, last)
	}
	if !strings.Contains(out.String(), "| fillseq") || strings.Contains(out.String(), "| readrandom") {
		t.Errorf("standard output:\n%s", out.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A run that was ended early found nothing wrong, and says that it was ended, and
// the seed that repeats it.
func TestF18_InterruptedTests(t *testing.T) {
	for _, c := range []struct{ args, begun, says string }{
		{"stress --duration 1m --threads 2", "*/db/btree.db", "(?s)^kv ok: .*lightning: interrupted; seed 17\n$"},
		{"stress --threads 2", "*/*/db/btree.db", "lightning: interrupted; seed 17\n$"},
		{"crashtest", "lightning-crashtest-*", `^lightning: interrupted; .*, [\d,]+ crash(es)? .*, seed 17\n$`},
		{"crashtest --mode kill --jobs 1", "*/*/db/btree.db", `^lightning: interrupted; .*, [\d,]+ crash(es)? of .* databases?, .*, seed 17\n$`},
		{"crashtest --mode kill --jobs 1 --json", "*/*/db/btree.db", `^{.*"code":130,"message":"interrupted; .*, seed 17"}\n$`},
	} {
		dir := t.TempDir()
		cmd := exec.Command("lightning", strings.Fields(c.args+" --seed 17 --dir "+dir)...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for { // until it is at work
			if made, _ := filepath.Glob(filepath.Join(dir, c.begun)); len(made) > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 130 || !regexp.MustCompile(c.says).MatchString(said.String()) {
			t.Errorf("%s: status %d, want 130; it said:\n%s", c.args, status, &said)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", c.args, left, err)
		}
	}
}
