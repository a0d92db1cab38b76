package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/inspect"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/dump"
	"github.com/lightning-db/lightning/internal/ui"
)

// The exit statuses. They are a promise: scripts tell causes apart by them.
const (
	exitDone       = 0
	exitNo         = 1  // the answer is no
	exitUsage      = 2  // bad flag or argument
	exitNotFound   = 3  // no database there, or not one of ours
	exitExists     = 4  // the target exists
	exitData       = 5  // invalid data
	exitPermission = 6  // permission denied, or opened read-only
	exitIO         = 7  // I/O error: disk full, a file that is not there
	exitDatabase   = 8  // any other error of the database
	exitConflict   = 9  // transaction conflict
	exitDamage     = 10 // damage found
	exitTest       = 11 // a test of stress or crashtest failed
	exitLocked     = 12 // locked by another process
	exitRejected   = 13 // finished, but some records were rejected
	exitVersion    = 14 // file format too new or too old
	exitInternal   = 99 // a bug of ours
	exitPipe       = 141
)

const exitTopic = `Exit statuses:

      0  done
      1  the answer is no: key not found, condition not met, nothing matched (-e)
      2  usage: bad flag or argument
      3  no such database or keyspace, or not a Lightning database
      4  the target exists
      5  invalid data: key or value too long, bad record in an import, a value
         that an expression has no answer for (--strict), backups that do not
         follow each other
      6  permission denied, or opened read-only
      7  I/O error: disk full, a file to read that is not there
      8  other database error, or stress or crashtest met nothing
      9  transaction conflict
     10  damage found
     11  a test of stress or crashtest failed
     12  locked by another process
     13  finished, but some records were rejected, or not all could be repaired
     14  file format too new or too old
     99  internal error
    129  ended by SIGHUP
    130  interrupted (Ctrl-C)
    131  ended by SIGQUIT (Ctrl-\)
    141  nobody reads standard output any more
    143  ended by SIGTERM

What to do, by the class of the error:

    answer       0 1        nothing is wrong
    retry        9 12       nothing was done: run it again
    input        2 3 4 5 6  change the command, or what it was given
    environment  6 7 14     mend what surrounds the database: rights, space, the
                            disk, the version of the program; then run it again
    reopen       7          mend the cause, and run it again: to open the database
                            recovers it; look whether the last commit is there
    restore      10         restore a backup, or save what can be read: repair
    unknown      8 11 99    read the message, and report what makes no sense

A command that is ended by a signal leaves the database closed and unlocked. What
was committed stays, and what was to appear whole is not there.

With --json, a failure is one line on standard error:

    {"message_type":"exit_error","code":12,"message":"..."}
`

var (
	errInternal = errors.New("internal error")
	errDamage   = errors.New("damage found")
	errRejected = errors.New("rejected")
	errData     = errors.New("invalid data")
)

// A saidError ends a command that has said itself what went wrong.
type saidError struct{ status int }

func (e saidError) Error() string { return "see above" }

// A noError says that the answer is no.
type noError struct{ message string }

func (e noError) Error() string { return e.message }

// A usageError says that the command was not called as it should be.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

//go:noinline // called in dozens of places, none of them hot
func usagef(format string, args ...any) error {
	return usageError{fmt.Sprintf(format, args...)}
}

// A hintError adds what to do to what is wrong.
type hintError struct {
	error
	hint string
}

func (e hintError) Unwrap() error { return e.error }

//go:noinline // called in dozens of places, none of them hot
func hinted(err error, hint string) error { return hintError{err, hint} }

// statuses are those of errors of which more is said than their class. They are
// in their order: an error may have several causes, and the one that says most
// comes first.
var statuses = [...]struct {
	status int
	errors []error
}{
	{exitInternal, []error{errInternal}},
	{exitTest, []error{errTest}},
	{exitRejected, []error{errRejected}},
	{exitDamage, []error{errDamage, engine.ErrCorrupt}},
	{exitLocked, []error{engine.ErrLocked}},
	{exitVersion, []error{engine.ErrVersion}},
	{exitNotFound, []error{engine.ErrNotExist, engine.ErrFormat, engine.ErrNoKeyspace}},
	{exitExists, []error{engine.ErrExists, engine.ErrKeyspaceExists, fs.ErrExist}},
	{exitData, []error{engine.ErrTooLarge, errData}},
	{exitPermission, []error{engine.ErrReadOnly, fs.ErrPermission, syscall.EROFS}},
}

// classStatuses are those of the errors of a class of which no more is said.
var classStatuses = [...]int{
	engine.ClassAnswer:      exitNo,
	engine.ClassRetry:       exitConflict,
	engine.ClassInput:       exitData,
	engine.ClassEnvironment: exitIO,
	engine.ClassReopen:      exitIO,
	engine.ClassRestore:     exitDamage,
	engine.ClassUnknown:     exitDatabase,
}

// statusOf maps an error to its exit status.
func statusOf(err error) int {
	_, no := errors.AsType[noError](err)
	_, usage := errors.AsType[usageError](err)
	_, row := errors.AsType[*dump.RowError](err)
	_, input := errors.AsType[*dump.InputError](err)
	switch {
	case err == nil:
		return exitDone
	case no:
		return exitNo
	case usage:
		return exitUsage
	}
	for _, s := range statuses {
		if s.status == exitDamage && inspect.AsDamage(err) != nil || s.status == exitData && (row || input) {
			return s.status
		}
		for _, target := range s.errors {
			if errors.Is(err, target) {
				return s.status
			}
		}
	}
	return classStatuses[engine.ClassOf(err)]
}

func isIO(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, call := errors.AsType[syscall.Errno](err)
	return path || call
}

// finish flushes the output, says what went wrong, and returns the status.
func (a *app) finish(err error) int {
	said, silent := errors.AsType[saidError](err)
	if flushErr := a.out.Flush(); flushErr != nil && (err == nil || silent) {
		err, silent = flushErr, false // a patch whose end is lost is none
	}
	by, stopped := errors.AsType[interrupted](context.Cause(a.ctx))
	switch {
	case err == nil:
		return exitDone
	case silent:
		return said.status
	case errors.Is(err, syscall.EPIPE):
		return exitPipe
	case errors.Is(err, context.Canceled) && stopped:
		return a.complain(128+int(by.signal), strings.ReplaceAll(err.Error(), context.Canceled.Error(), by.Error()))
	}
	if !a.started {
		// cobra's own errors are about flags and arguments.
		if status := statusOf(err); status == exitDatabase {
			err = usageError{err.Error()}
		}
	}
	return a.complain(statusOf(err), a.message(err))
}

// stopped adds to the error of a command that a signal ended what it had done.
func stopped(err error, format string, args ...any) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w; %s", err, fmt.Sprintf(format, args...))
}

// partly is stopped for a command that reads keys, and had read so many.
func partly(err error, keys int64) error {
	return stopped(err, "%s read, and more to read", ui.Plural(keys, "key"))
}

// unmade adds to the error of a command that a signal or a full disk ended that what
// was to appear whole is not there.
func unmade(err error, said string) error {
	if vfs.IsNoSpace(err) {
		return hinted(err, said+"; make room and run it again")
	}
	return stopped(err, "%s", said)
}

// complain prints the one line that says what is wrong.
func (a *app) complain(status int, message string) int {
	message = strings.ReplaceAll(strings.TrimRight(message, "\n"), "\n", " ")
	if a.session != nil {
		message = a.session.shell.Complaint(message)
	}
	if a.json || a.session != nil && a.session.app.json {
		said := ui.Object{
			{Name: "message_type", Value: "exit_error"}, {Name: "code", Value: status}, {Name: "message", Value: string([]rune(message))},
		}
		if a.trace != "" {
			said = append(said, ui.Member{Name: "trace", Value: a.trace})
		}
		fmt.Fprintf(a.Err, "%s\n", ui.AppendJSON(nil, said))
		return status
	}
	fmt.Fprintf(a.Err, "%s ", a.Red("lightning:"))
	fmt.Fprintln(ui.SafeWriter(a.Err), message)
	fmt.Fprint(ui.SafeWriter(a.Err), a.trace)
	return status
}

// revision is that of the sources, where make built the program from a
// repository.
var revision string

// trace returns what the report of a bug needs: where the program was, and which
// program it is. As make builds it, it knows no names or lines; make trace finds
// them.
func trace() string {
	return fmt.Sprintf("lightning %s %s %s/%s %s\n%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, revision, debug.Stack())
}

// message says what is wrong and what can be done.
func (a *app) message(err error) string {
	text := err.Error()
	// The engine and the system may both say what was done to what.
	if at := strings.Index(text, ": ") + 2; at > 1 && strings.HasPrefix(text[at:], text[:at]) {
		text = text[at:]
	}
	hint := a.hintFor(err)
	if errors.Is(err, engine.ErrLocked) && a.timeout > 0 {
		hint = "waited " + a.timeout.String()
	}
	if hint != "" {
		text += "; " + hint
	}
	return text
}

func (a *app) hintFor(err error) string {
	hint, given := errors.AsType[hintError](err)
	around := ""
	if errors.Is(err, engine.ErrNotExist) || errors.Is(err, engine.ErrFormat) {
		around = databaseAround(a.named)
	}
	switch {
	case errors.Is(err, engine.ErrNoKeyspace) && strings.HasSuffix(err.Error(), `"`+defaultSpace+`"`):
		return unnamed
	case given:
		return hint.hint
	case around != "":
		return "name the directory of the database: " + filepath.Clean(around)
	case errors.Is(err, engine.ErrLocked):
		return "wait for it with --timeout 10s"
	case errors.Is(err, engine.ErrNotExist) && a.ofData:
		return creators + " create one"
	case errors.Is(err, engine.ErrNoKeyspace):
		program, db := "lightning ", " "+a.named
		if a.session != nil {
			program, db = "", ""
		}
		hint := "list them with: " + program + "keyspace list" + db
		if a.makes {
			hint += "; create it with: " + program + "keyspace create" + db + " NAME"
		}
		return hint
	case errors.Is(err, engine.ErrCorrupt):
		if d, ok := errors.AsType[*engine.CorruptError](err); ok && filepath.Base(d.Path) == "btree.db" && gone(d.Path) {
			return saveWhatIsLeft(filepath.Dir(d.Path))
		}
		return "what else is damaged says: lightning verify"
	case errors.Is(err, engine.ErrCommitUnknown):
		return "mend the cause, and look whether the commit is there before it is made again"
	case errors.Is(err, engine.ErrFailed):
		return "mend the cause and run it again: to open the database recovers it"
	case errors.Is(err, engine.ErrNoSpace):
		return "nothing committed is lost; make space and go on"
	case errors.Is(err, errInternal):
		return "this is a bug: please report it"
	}
	if of, ok := errors.AsType[*fs.PathError](err); ok && errors.Is(of, fs.ErrNotExist) {
		dir := filepath.Dir(of.Path)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return "the directory " + dir + " is not there"
		}
	}
	return ""
}

// creators are the commands that create a database where there is none.
const creators = "put, batch, import, copy, keyspace create and shell --write"

const listSpaces = "list them with: keyspace list" // in the shell
