package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lightning-db/lightning/engine"
)

// A ptyShell is lightning shell on a terminal that is not its own: what happens to
// the terminal sends it no signal.
type ptyShell struct {
	t        *testing.T
	cmd      *exec.Cmd
	keyboard *os.File
	shown    []byte // since until found what it waited for
}

func openPty(t *testing.T, args ...string) *ptyShell {
	t.Helper()
	keyboard, screen, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // then it is killed, and the test fails
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "lightning", append([]string{"shell"}, args...)...)
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1", "XDG_STATE_HOME="+t.TempDir())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen.Close()
	return &ptyShell{t, cmd, keyboard, nil}
}

func (p *ptyShell) typed(text string) {
	p.t.Helper()
	if _, err := p.keyboard.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// until waits for a text behind what the last one found.
func (p *ptyShell) until(want string) {
	p.t.Helper()
	at := bytes.Index(p.shown, []byte(want))
	for buf := make([]byte, 4096); at < 0; at = bytes.Index(p.shown, []byte(want)) {
		n, err := p.keyboard.Read(buf)
		if p.shown = append(p.shown, buf[:n]...); err != nil {
			p.t.Fatalf("%v; the terminal never has %q:\n%q", err, want, p.shown)
		}
	}
	p.shown = p.shown[at+len(want):]
}

// ended waits for the end of the shell.
func (p *ptyShell) ended() {
	p.t.Helper()
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() < 0 {
		p.t.Fatalf("the shell does not end: %v", err)
	}
}

// A terminal that goes away ends the shell wherever it is, and what was half typed
// is not run: that was a delete, once.
func TestShell_TerminalIsGone(t *testing.T) {
	for name, test := range map[string]struct{ typed, shown string }{
		"prompt":   {"", ""},
		"half":     {"delete row:000001", "delete row:000001"},
		"search":   {"\x12row", "`row': "},
		"pasted":   {"\x12\x1b[200~ro\nw\x1b[201~", "`ro⤶w': "},
		"lines":    {"delete row:000001 \\\r", "..> "},
		"quote":    {"delete row:000001; put 'a\r", "..> "},
		"question": {"delete --prefix row:\r", "[y/N] "},
		"value":    {"put row:000001 -\rline\rtext", "text"},
	} {
		t.Run(name, func(t *testing.T) {
			db := testDatabase(t, 3)
			p := openPty(t, db, "--write")
			p.until("my.db!> ")
			p.typed(test.typed)
			p.until(test.shown)
			p.keyboard.Close()
			p.ended()
			opened, err := engine.Open(db, &engine.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			if value, err := opened.Get([]byte("row:000001")); err != nil || !strings.HasPrefix(string(value), "value 1") {
				t.Errorf("row:000001 is %q, %v", value, err)
			}
		})
	}
}

// An interrupt that is no key of the terminal clears the line, answers a question
// with no, and ends what --init runs. The statement behind it had been taken for
// an answer, and the terminal was left without echo.
func TestShell_InterruptedFromOutside(t *testing.T) {
	watch := filepath.Join(t.TempDir(), "watch")
	if err := os.WriteFile(watch, []byte(".watch 1000 count\n.watch 1000 count row:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := openPty(t, testDatabase(t, 3), "--write", "--init", watch)
	interrupt := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
	}
	p.until("\n3\r\n")
	interrupt()
	p.until("watch: line 1: interrupted")
	p.until("my.db!> ")
	for range 3 {
		p.typed("delete --prefix row:\r")
		p.until("[y/N] ")
		interrupt()
		p.until("lightning: interrupted")
		p.until("my.db!> ")
		p.typed("never run")
		p.until("never run")
		interrupt()
		p.until("^C")
		p.until("my.db!> ")
		p.typed("count\r")
		p.until("count\r\n")
		p.until("3\r\n")
		p.until("my.db!> ")
	}
	before, err := unix.IoctlGetTermios(int(p.keyboard.Fd()), unix.TCGETS)
	if err != nil || before.Lflag&unix.ECHO != 0 {
		t.Errorf("the shell does not read key by key: %v", err)
	}
	p.typed("exit\r")
	p.until("exit")
	p.ended()
	after, err := unix.IoctlGetTermios(int(p.keyboard.Fd()), unix.TCGETS)
	if err != nil || after.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left without echo: %v", err)
	}
}
