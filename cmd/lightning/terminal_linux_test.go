package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminal runs a command with all its streams on a new terminal, types the
// content of a file, and writes what the terminal shows to the file "screen".
// The script's COLUMNS and TERM, if they are set, are those of the terminal; its
// XDG_CONFIG_HOME is that of the command.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	keyboard, screen, err := openTerminal()
	ts.Check(err)
	defer keyboard.Close()
	if columns := ts.Getenv("COLUMNS"); columns != "" {
		n, err := strconv.Atoi(columns)
		ts.Check(err)
		ts.Check(unix.IoctlSetWinsize(int(keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: uint16(n)}))
	}
	term := ts.Getenv("TERM")
	if term == "" {
		term = "dumb"
	}
	// Ask the shell for the command's path in the script's environment.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$@"`, "sh"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "TERM=" + term, "HOME=/nowhere", "XDG_CONFIG_HOME=" + ts.Getenv("XDG_CONFIG_HOME")}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = screen, screen, screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	ts.Check(screen.Close())
	_, err = keyboard.WriteString(ts.ReadFile(args[0]))
	ts.Check(err)
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, keyboard) // ends with EIO when the command does
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("screen"), bytes.ReplaceAll(shown.Bytes(), []byte("\r\n"), []byte("\n")), 0o644))
	if (err != nil) != neg {
		ts.Fatalf("%v\n%s", err, shown.Bytes())
	}
}

func openTerminal() (keyboard, screen *os.File, err error) {
	keyboard, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(keyboard.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	return keyboard, screen, err
}
