// Package driver puts one face on the databases that are compared. A driver
// does each operation in the way that its database's documentation calls
// cheapest and safe, and hands the bytes of a value to its caller in the
// caller's own buffer. What it was told about its database is in its Notes,
// which become a table of the report.
package driver

import (
	"fmt"
	"slices"
	"strings"
)

// Durability is what a commit promises, the same for every database of a cell.
type Durability uint8

const (
	// Crash: a commit that was acknowledged survives the death of the process,
	// and may be lost by a power cut.
	Crash Durability = iota
	// Full: a commit that was acknowledged is on stable storage.
	Full
)

func (d Durability) String() string {
	if d == Full {
		return "fsync a commit"
	}
	return "survives a process crash"
}

// Config is what a cell wants of a database.
type Config struct {
	Durability Durability
	CacheBytes int64
	// DataBytes is more than will ever be stored: how large a map must be.
	DataBytes int64
	// ValueBytes is how large values are.
	ValueBytes int
	// Workers is how many sessions there will be at once.
	Workers int
	// Writers is how many sessions do nothing but commit, all at once; 0 when
	// they do other things too. It lets a database that gathers concurrent
	// commits know when to stop waiting for more.
	Writers int
	// Transactions says that Session.Tx will be called.
	Transactions bool
	// Unmerged asks that half a million entries stay in the log and in memory.
	Unmerged bool
}

// DB is an open database. Settle, Compact and Close are called when no session
// is open.
type DB interface {
	// Session returns a handle for one goroutine.
	Session() (Session, error)
	// Settle returns when the work that earlier writes left for the background
	// is done.
	Settle() error
	// Compact makes the database as small and as quick to read as it knows how.
	Compact() error
	Close() error
}

// LogFlusher is a DB whose commits may be acknowledged before they are in a
// file: FlushLog puts them there.
type LogFlusher interface {
	FlushLog() error
}

// Session is what one goroutine does to a database. Every operation is a
// commit, or a read, of its own.
type Session interface {
	Put(key, value []byte) error
	// PutBatch puts all of the entries in one commit.
	PutBatch(keys, values [][]byte) error
	// Get appends the value of key to dst and reports whether there is one.
	Get(dst, key []byte) ([]byte, bool, error)
	Delete(key []byte) error
	// Scan calls fn with up to n entries from the first at or after from on, or
	// when reverse, from the last at or before from back. A nil from is the
	// first or the last entry. What fn is given is lent until it returns. Scan
	// returns how many there were.
	Scan(from []byte, n int, reverse bool, fn func(key, value []byte)) (int, error)
	// Tx reads the values of keys and then puts values there, serializably. It
	// runs again on a conflict, and returns how often that was.
	Tx(keys, values [][]byte) (conflicts int, err error)
	Close() error
}

// Driver is a database that can be opened.
type Driver struct {
	Name string
	// Module is the Go module whose version is reported; when there is none,
	// Version is called.
	Module  string
	Version func() string
	// Missing says why the driver is not in this program, when it is not.
	Missing string
	Open    func(dir string, c Config) (DB, error)
	Notes   Notes
}

// Notes say how a database is configured: sentences for the report.
type Notes struct {
	Crash   string // to survive a process crash
	Full    string // to fsync a commit
	Options string // besides
	Read    string // how a get is made
	Tx      string // how a transaction is made
}

// All lists the drivers, those that are missing from this program too.
func All() []*Driver { return append([]*Driver{&lightning}, peers...) }

// Available lists the drivers in this program.
func Available() []*Driver {
	return slices.DeleteFunc(All(), func(d *Driver) bool { return d.Missing != "" })
}

// Find returns the driver of that name.
func Find(name string) (*Driver, error) {
	var names []string
	for _, d := range All() {
		if d.Name == name {
			if d.Missing != "" {
				return nil, fmt.Errorf("%s: %s", name, d.Missing)
			}
			return d, nil
		}
		names = append(names, d.Name)
	}
	return nil, fmt.Errorf("no peer %q: there are %s", name, strings.Join(names, ", "))
}
