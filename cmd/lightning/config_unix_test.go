//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A configuration file that may not be read is named, with what to do, by commands
// that it could hold flags for, and by no other. One in a directory that its reader
// may not enter is somebody else's: of the one who called sudo, whose HOME stays.
func TestConfig_Unreadable(t *testing.T) {
	program, err := exec.LookPath("lightning")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for _, dir := range []string{filepath.Dir(program), filepath.Dir(filepath.Dir(program)), filepath.Dir(home)} {
		if err := os.Chmod(dir, 0o755); err != nil { // for who has no rights
			t.Fatal(err)
		}
	}
	config := filepath.Join(home, "lightning", "config")
	if err := os.Mkdir(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("--quiet\n"), 0); err != nil {
		t.Fatal(err)
	}
	expect := func(status int, want, command string) {
		t.Helper()
		cmd := exec.Command(program, strings.Fields(command)...)
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+home)
		if cmd.Dir = home; os.Geteuid() == 0 { // who may read everything
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		have := strings.TrimSpace(strings.ReplaceAll(errs.String(), config, "CONFIG"))
		if have != want || cmd.ProcessState.ExitCode() != status {
			t.Errorf("%q: %v: %s", command, cmd.ProcessState, have)
		}
	}
	for _, command := range []string{"", "version", "help", "help scan", "completion bash", "keyspace", "inspect --help"} {
		expect(exitDone, "", command)
	}
	expect(exitDone, "Completion ended with directive: ShellCompDirectiveNoFileComp", "__complete help sc")
	expect(exitPermission, "lightning: open CONFIG: permission denied; make it readable, or pass it over with --no-config", "count none.db")
	expect(exitNotFound, "lightning: open none.db: no database here; put, batch, import, copy, keyspace create and shell --write create one", "count none.db --no-config")
	nowhere := exec.Command(program, "count", "none.db")
	nowhere.Env, nowhere.Dir = append(os.Environ(), "XDG_CONFIG_HOME=/dev/null"), home
	if out, err := nowhere.CombinedOutput(); nowhere.ProcessState.ExitCode() != exitNotFound {
		t.Errorf("a home that is no directory: %v: %s", err, out)
	}
	if err := os.Chmod(filepath.Dir(config), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Dir(config), 0o755) }) // so that it can be removed
	expect(exitNotFound, "lightning: open none.db: no database here; put, batch, import, copy, keyspace create and shell --write create one", "count none.db")
}
