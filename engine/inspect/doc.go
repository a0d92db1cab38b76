// Package inspect shows the files of a database as they lie on the disk: meta
// slots, nodes, the catalog, the free list and the log, as plain structs. It
// is the one window through which tools see the bytes; package verify is the
// first of them.
//
// # What it promises
//
//  1. It reads only. Of a directory that can be written it takes a place among
//     the readers (a file LOCK.reader-N, gone after Close), so that a writer
//     that goes on meanwhile replaces nothing of what is being read.
//  2. Whatever the bytes are, also ones with valid checksums, it does not
//     panic, and takes no memory that the length of the file or the limits of
//     the format do not justify.
//  3. What it returns without an error has been compared with its checksums
//     and its place (R2, X1, X2) and can be read to its end. What breaks a
//     promise of docs/FORMAT.md is a *Damage that cites its number.
//
// Extents, metas, nodes and records are judged by the functions that the
// engine itself reads with, so that no damage is seen by one and not the other.
package inspect
