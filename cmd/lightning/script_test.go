package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/ui"
)

func TestMain(m *testing.M) {
	if strings.HasSuffix(os.Args[0], ".test") { // and not one of the commands below
		os.Setenv("XDG_CONFIG_HOME", "/nowhere") // that of who runs the tests is not theirs
		heedSignals()                            // a command would ignore what was ignored for them, too
	}
	testscript.Main(m, testCommands)
}

// testCommands are the programs that the tests start, all of them this one.
var testCommands = map[string]func(){
	"lightning":      main,
	"lightning-load": runLoad, // of TestMemoryLimit
	// A bug of ours, and one that crashtest found.
	"lightning-panics":  func() { os.Exit(run([]string{"version"}, &ui.Streams{Out: &panicker{}, Err: os.Stderr})) },
	"lightning-crashed": func() { os.Exit(failedCrashtest(os.Stdout, os.Stderr, false)) },
	// lightning, in the background of a script, for which sh has SIGINT ignored.
	"lightning-heeds": func() {
		heedSignals()
		path, err := exec.LookPath("lightning")
		if err == nil {
			err = syscall.Exec(path, append([]string{path}, os.Args[1:]...), os.Environ())
		}
		panic(err)
	},
}

// heedSignals makes signals that are ignored here end what this process starts.
func heedSignals() {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// TestScripts runs the program itself through the scripts in testdata/script:
// this test's, or the one that LIGHTNING_BINARY names, an absolute path.
// Beside testscript's own commands they have:
//
//	exits N command...   run a command, which must exit with status N
//	bytes FILE HEX       write bytes to a file
//	fill FILE SIZE       write a file of that size
//	flip FILE OFFSET     flip a byte; a negative offset counts from the end
//	hold DB              keep a database open for writing, until release
//	release
//	terminal INPUT command...  run a command on a terminal, in a script of Linux
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			switch name {
			case "unprivileged":
				return os.Geteuid() > 0, nil
			case "mounts": // file systems of its own
				_, err := os.Stat("/dev/loop-control")
				return os.Geteuid() == 0 && err == nil, nil
			}
			return false, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"terminal": terminal, "exits": exits, "bytes": writeBytes, "fill": fill, "flip": flip, "hold": hold, "release": release,
		},
		Setup: func(env *testscript.Env) error {
			// One database may be held by a script at a time.
			env.Values[holdKey{}] = new(holder)
			if binary := os.Getenv("LIGHTNING_BINARY"); binary != "" {
				env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			}
			cities, err := os.ReadFile("../../testdata/cities/cities.jsonl.gz")
			if err != nil {
				return err
			}
			return os.WriteFile(env.WorkDir+"/cities.jsonl.gz", cities, 0o644)
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits status command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	have := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Check(err)
		}
		have = exit.ExitCode()
	}
	if have != want {
		ts.Fatalf("exit status %d, want %d", have, want)
	}
}

func writeBytes(ts *testscript.TestScript, _ bool, args []string) {
	b, err := hex.DecodeString(strings.Join(args[1:], ""))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func fill(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	pattern := []byte("The quick brown fox jumps over the lazy dog. \x00\xff\r\n")
	b := bytes.Repeat(pattern, size/len(pattern)+1)[:size]
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 0xff
	ts.Check(os.WriteFile(path, b, 0o644))
}

type holdKey struct{}

type holder struct{ db *engine.DB }

func hold(ts *testscript.TestScript, _ bool, args []string) {
	h := ts.Value(holdKey{}).(*holder)
	db, err := engine.Open(ts.MkAbs(args[0]), &engine.Options{Holder: "the test"})
	ts.Check(err)
	h.db = db
	ts.Defer(func() { release(ts, false, nil) })
}

func release(ts *testscript.TestScript, _ bool, _ []string) {
	h := ts.Value(holdKey{}).(*holder)
	if h.db != nil {
		ts.Check(h.db.Close())
		h.db = nil
	}
}
