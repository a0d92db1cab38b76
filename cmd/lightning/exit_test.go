package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

// A panicker panics once.
type panicker struct{ done bool }

func (p *panicker) Write(b []byte) (int, error) {
	if !p.done {
		p.done = true
		panic("no paper")
	}
	return len(b), nil
}

// TestRun_TellsWhereAPanicWas, and in which program.
func TestRun_TellsWhereAPanicWas(t *testing.T) {
	trace := `lightning \S+ go\S+ \w+/\w+.*\ngoroutine (?s:.*)\(\*panicker\)\.Write\(.*\n.* \+0x[0-9a-f]+\n`
	var complaint bytes.Buffer
	status := run([]string{"version"}, &ui.Streams{Out: &panicker{}, Err: &complaint})
	want := regexp.MustCompile(`^lightning: internal error: no paper; this is a bug: please report it\n` + trace)
	if status != exitInternal || !want.Match(complaint.Bytes()) {
		t.Errorf("status %d, and\n%s", status, complaint.Bytes())
	}

	complaint.Reset()
	status = run([]string{"version", "--json"}, &ui.Streams{Out: &panicker{}, Err: &complaint})
	var line struct {
		Code  int
		Trace string
	}
	err := json.Unmarshal(complaint.Bytes(), &line)
	if err != nil || status != exitInternal || line.Code != status || !regexp.MustCompile(`^`+trace).MatchString(line.Trace) {
		t.Errorf("status %d, %v, and\n%s", status, err, complaint.Bytes())
	}
}

// The exit status of an error, and the help about what to do by it, agree with
// the class that the engine says it is of.
func TestStatusOf_IsOfTheClass(t *testing.T) {
	classes := map[string][]string{} // of the help: their statuses
	for _, m := range regexp.MustCompile(`(?m)^    ([a-z]+) +([0-9 ]+?)  +`).FindAllStringSubmatch(exitTopic, -1) {
		classes[m[1]] = strings.Fields(m[2])
	}
	if len(classes) != int(engine.ClassUnknown)+1 {
		t.Errorf("classes in the help: %v", classes)
	}
	for err, want := range map[error]int{
		nil: exitDone, engine.ErrNotFound: exitNo, engine.ErrConflict: exitConflict, engine.ErrLocked: exitLocked,
		engine.ErrReadOnly: exitPermission, engine.ErrInvalid: exitData, engine.ErrTooLarge: exitData, engine.ErrClosed: exitData,
		engine.ErrNotExist: exitNotFound, engine.ErrExists: exitExists, engine.ErrFormat: exitNotFound,
		engine.ErrNoKeyspace: exitNotFound, engine.ErrKeyspaceExists: exitExists, engine.ErrGone: exitData,
		engine.ErrVersion: exitVersion, engine.ErrNoSpace: exitIO, engine.ErrFailed: exitIO, engine.ErrCommitUnknown: exitIO,
		engine.ErrCorrupt: exitDamage, fs.ErrPermission: exitPermission, syscall.EIO: exitIO, errors.New("odd"): exitDatabase,
	} {
		if err != nil {
			err = fmt.Errorf("open my.db: %w", err)
		}
		have := statusOf(err)
		if have != want {
			t.Errorf("%v: status %d, want %d", err, have, want)
		}
		class := engine.ClassOf(err)
		if errors.Is(err, fs.ErrPermission) {
			class = engine.ClassEnvironment // as the error that it comes in
		}
		if !slices.Contains(classes[class.String()], fmt.Sprint(have)) {
			t.Errorf("%v is of class %v, and status %d is not in %v", err, class, have, classes[class.String()])
		}
	}

	// Of several causes the one that says most comes first.
	for err, want := range map[error]int{
		fmt.Errorf("%w: %w", engine.ErrFailed, engine.ErrNoSpace):                         exitIO,
		fmt.Errorf("%w: %w", engine.ErrFailed, &fs.PathError{Err: syscall.EACCES}):        exitPermission,
		fmt.Errorf("%w: %w", errRejected, engine.ErrTooLarge):                             exitRejected,
		fmt.Errorf("%w: %w", errTest, engine.ErrCorrupt):                                  exitTest,
		fmt.Errorf("%w: %w", engine.ErrLocked, fs.ErrExist):                               exitLocked,
		fmt.Errorf("%w: %w", errTest, &inspect.Damage{}):                                  exitTest,
		fmt.Errorf("read: %w", &inspect.Damage{}):                                         exitDamage,
		&dump.RowError{Err: &fs.PathError{Err: syscall.EACCES}}:                           exitData,
		fmt.Errorf("%w: %w", engine.ErrExists, &dump.RowError{Err: errors.New("line 3")}): exitExists,
	} {
		if have := statusOf(err); have != want {
			t.Errorf("%v: status %d, want %d", err, have, want)
		}
	}
}

// database makes one of so many entries, key:0000 and on.
func database(t *testing.T, entries int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "db")
	db, err := engine.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	for i := range entries {
		err = errors.Join(err, b.Put(fmt.Appendf(nil, "key:%04d", i), []byte("value")))
	}
	if err := errors.Join(err, db.Apply(t.Context(), b), db.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runHere runs a command in this process, under a context, and returns its
// status and what it printed.
func runHere(ctx context.Context, out *os.File, args ...string) (status int, stdout, stderr string) {
	var o, e bytes.Buffer
	a := &app{Streams: &ui.Streams{In: strings.NewReader(""), Out: &o, Err: &e}, ctx: ctx}
	if out != nil {
		a.Out = out
	}
	a.out = bufio.NewWriter(a.Out)
	root := a.root()
	root.SetArgs(args)
	status = a.finish(root.ExecuteContext(ctx))
	return status, o.String(), e.String()
}
