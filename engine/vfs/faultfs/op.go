package faultfs

import (
	"fmt"
	"path/filepath"
)

// Kind is a kind of call.
type Kind uint8

// The kinds marked with a star change the disk: a Sim counts only those.
const (
	OpOpen      Kind = iota + 1
	OpCreate         // * Open that made the file, or with an Injector one that may
	OpMkdir          // *
	OpRemove         // *
	OpRename         // *
	OpList           //
	OpStat           //
	OpSyncDir        // *
	OpLock           //
	OpSetHolder      // * the text in a lock's file, also as Lock writes it
	OpRead           //
	OpWrite          // *
	OpSize           //
	OpTruncate       // * Off is the new length
	OpAllocate       // *
	OpMap            //
	OpSync           // *
	OpClose          // of a file or a lock
)

var kindNames = [...]string{
	OpOpen: "open", OpCreate: "create", OpMkdir: "mkdir", OpRemove: "remove", OpRename: "rename",
	OpList: "list", OpStat: "stat", OpSyncDir: "syncdir", OpLock: "lock", OpSetHolder: "holder",
	OpRead: "read", OpWrite: "write", OpSize: "size", OpTruncate: "truncate", OpAllocate: "allocate",
	OpMap: "map", OpSync: "sync", OpClose: "close",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Op is one call.
type Op struct {
	Kind    Kind
	Name    string // as the file was opened
	NewName string // of a rename
	Off     int64
	Len     int64
	N       int // its place in the order of calls, from 1
}

// String describes the call in one line, without N, which changes whenever a
// call is added before it.
func (op Op) String() string {
	name := filepath.ToSlash(op.Name)
	switch op.Kind {
	case OpRename:
		return fmt.Sprintf("%v %s %s", op.Kind, name, filepath.ToSlash(op.NewName))
	case OpRead, OpWrite, OpAllocate:
		return fmt.Sprintf("%v %s %d %d", op.Kind, name, op.Off, op.Len)
	case OpTruncate:
		return fmt.Sprintf("%v %s %d", op.Kind, name, op.Off)
	case OpMap:
		return fmt.Sprintf("%v %s %d", op.Kind, name, op.Len)
	}
	return fmt.Sprintf("%v %s", op.Kind, name)
}
