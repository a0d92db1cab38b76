package engine_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// sentinels are the errors of the package, by their names.
var sentinels = map[string]error{
	"ErrNotFound": engine.ErrNotFound, "ErrConflict": engine.ErrConflict, "ErrLocked": engine.ErrLocked, "ErrReadOnly": engine.ErrReadOnly,
	"ErrInvalid": engine.ErrInvalid, "ErrTooLarge": engine.ErrTooLarge, "ErrClosed": engine.ErrClosed, "ErrNotExist": engine.ErrNotExist,
	"ErrExists": engine.ErrExists, "ErrFormat": engine.ErrFormat, "ErrNoKeyspace": engine.ErrNoKeyspace,
	"ErrKeyspaceExists": engine.ErrKeyspaceExists, "ErrGone": engine.ErrGone, "ErrChain": engine.ErrChain, "ErrVersion": engine.ErrVersion,
	"ErrNoSpace": engine.ErrNoSpace, "ErrFailed": engine.ErrFailed, "ErrCommitUnknown": engine.ErrCommitUnknown, "ErrCorrupt": engine.ErrCorrupt,
}

// exportedErrors returns the package's exported variables of the name Err…, with
// their comments.
func exportedErrors(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			d, ok := d.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, s := range d.Specs {
				for _, ident := range s.(*ast.ValueSpec).Names {
					if ast.IsExported(ident.Name) && strings.HasPrefix(ident.Name, "Err") {
						found[ident.Name] = s.(*ast.ValueSpec).Doc.Text()
					}
				}
			}
		}
	}
	return found
}

// Each exported error has a class, which its comment names, and keeps it however
// it is wrapped.
func TestClassOf_EveryExportedError(t *testing.T) {
	declared := exportedErrors(t)
	for name := range sentinels {
		if _, ok := declared[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
	for name, comment := range declared {
		err := sentinels[name]
		class := engine.ClassOf(err)
		if err == nil || class == engine.ClassUnknown {
			t.Errorf("%s has no class, or is not in the list of this test", name)
			continue
		}
		if want := "(" + class.String() + ")"; !strings.HasSuffix(strings.TrimSpace(comment), want) {
			t.Errorf("the comment of %s does not end in %s", name, want)
		}
		if have := engine.ClassOf(fmt.Errorf("open my.db: %w", errors.Join(errors.New("other"), err))); have != class {
			t.Errorf("%s, wrapped: %v, want %v", name, have, class)
		}
	}
}

func TestClassOf(t *testing.T) {
	_, missing := os.Open(filepath.Join(t.TempDir(), "none", "at", "all"))
	for _, c := range []struct {
		err  error
		want engine.Class
	}{
		{nil, engine.ClassAnswer},
		{context.Canceled, engine.ClassAnswer},
		{context.DeadlineExceeded, engine.ClassAnswer},
		{io.EOF, engine.ClassAnswer},
		{missing, engine.ClassEnvironment},
		{syscall.EIO, engine.ClassEnvironment},
		{&fs.PathError{Op: "write", Path: "f", Err: errors.New("odd")}, engine.ClassEnvironment},
		{errors.New("of a function"), engine.ClassUnknown},
		{&engine.CorruptError{}, engine.ClassRestore},
		{&engine.LockedError{}, engine.ClassRetry},

		// What asks for most counts.
		{fmt.Errorf("%w: %w", engine.ErrCommitUnknown, fmt.Errorf("%w: %w", engine.ErrFailed, syscall.EIO)), engine.ClassReopen},
		{fmt.Errorf("%w: %w", engine.ErrFailed, engine.ErrNoSpace), engine.ClassReopen},
		{fmt.Errorf("%w: %w", engine.ErrFailed, &engine.CorruptError{}), engine.ClassRestore},
		{fmt.Errorf("%w: %w", engine.ErrNoSpace, syscall.ENOSPC), engine.ClassEnvironment},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, engine.ErrConflict), engine.ClassRetry},
		{fmt.Errorf("%w: %w", engine.ErrVersion, engine.ErrFormat), engine.ClassEnvironment},
	} {
		if have := engine.ClassOf(c.err); have != c.want {
			t.Errorf("%v: class %v, want %v", c.err, have, c.want)
		}
	}
}

// What a caller does wrong is ErrInvalid, and not an error of no class.
func TestErrInvalid(t *testing.T) {
	db := openMem(t, engine.Options{})
	ctx := t.Context()
	managed := func(do func(*engine.Tx) error) error { return db.View(do) }
	for name, err := range map[string]error{
		"sync mode":           second(engine.Open("x", &engine.Options{FS: vfs.NewMem(), Sync: 9})),
		"no directory":        second(engine.Open("", &engine.Options{FS: vfs.NewMem()})),
		"page size":           second(engine.Open("x", &engine.Options{FS: vfs.NewMem(), PageSize: 1000})),
		"compression":         second(engine.Open("x", &engine.Options{FS: vfs.NewMem(), Compression: 9})),
		"name of a mode":      second(engine.ParseSyncMode("x")),
		"name of a codec":     second(engine.ParseCompression("x")),
		"keyspace name":       second(db.CreateKeyspace("\n", nil)),
		"default keyspace":    db.DropKeyspace(""),
		"no function":         db.Update(ctx, nil),
		"no function to view": db.View(nil),
		"nothing to retry":    engine.Retry(ctx, nil),
		"no batch":            db.Apply(ctx, nil),
		"refresh":             db.Refresh(),
		"commit in View":      managed(func(tx *engine.Tx) error { return tx.Commit(ctx) }),
		"rollback in View":    managed(func(tx *engine.Tx) error { tx.Rollback(); return nil }),
		"keys out of order":   engine.Load(ctx, "l", &engine.RestoreOptions{FS: vfs.NewMem()}, sameKey()),
	} {
		if !errors.Is(err, engine.ErrInvalid) || engine.ClassOf(err) != engine.ClassInput {
			t.Errorf("%s: %v, class %v", name, err, engine.ClassOf(err))
		}
	}
}

// sameKey returns one entry for ever.
func sameKey() func() (key, value []byte, err error) {
	return func() (key, value []byte, err error) { return []byte("k"), nil, nil }
}

// docs/TROUBLESHOOTING.md has an entry for each exported error, and none for any
// other: its class, what it means, and what to do.
func TestTroubleshooting_HasEveryError(t *testing.T) {
	text, err := os.ReadFile("../docs/TROUBLESHOOTING.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(Err\\w+)` \\| (\\w+) \\| (.+?) \\| (.+?) \\|$").FindAllStringSubmatch(string(text), -1) {
		if rows[m[1]] != nil {
			t.Errorf("%s has two entries", m[1])
		}
		rows[m[1]] = m[2:]
	}
	for name := range exportedErrors(t) {
		row := rows[name]
		if row == nil {
			t.Errorf("%s has no entry", name)
		} else if have, want := row[0], engine.ClassOf(sentinels[name]).String(); have != want {
			t.Errorf("%s is of class %s, its entry says %s", name, want, have)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("there is no %s", name)
	}
}
