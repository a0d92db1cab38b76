// Package verify answers one question: is every promise of docs/FORMAT.md
// kept? It reads a database from end to end, offline or beside a running
// writer, and changes nothing.
//
// # What it promises
//
//  1. All damage is reported. What cannot be read is one finding, with the
//     range of keys and the number of entries that are lost with it, and the
//     walk goes on elsewhere.
//  2. Each finding cites the number of the promise that is broken.
//  3. What a crash may leave is not damage: an unfinished end of the log is
//     counted (Report.TornBytes), and whole commits behind it are a note; so
//     is a meta slot without a valid meta, since the other slot and the log
//     together hold every commit.
//  4. Whatever the bytes are, it ends, in time about linear in the length of
//     the files as they unpack, and with bounded memory: a bit for each unit
//     of the trees, a few nodes for each worker, and at most maxFindings
//     findings.
//
// Run reads all at once. Scrub reads it in parts, for as many hours as that
// takes, keeps in a file how far it came, and goes on from there.
package verify
