// Package wal is the log: a chain of preallocated segment files that are used
// again when a checkpoint no longer needs them. docs/FORMAT.md, "The log", is
// the specification of the bytes; the numbers W1 to W4 are its promises.
//
// A position in the log is an LSN. A record is one commit; it is appended at
// End, and durable when a later Sync has returned an LSN at or past its end.
//
// # What the package promises
//
//  1. A segment has its name only when its header, its length and its space
//     on the disk are durable. A number is never used twice for bytes that may
//     still be on the disk, so nothing of an earlier use can replay.
//  2. The place behind the last record is zero (40 bytes, or what the segment
//     has left): an ordinary end looks different from a damaged one, also in a
//     segment that holds bytes of an earlier use.
//  3. Sync publishes an LSN only when every segment before it is synced. After
//     a failed sync or a failed write the log takes nothing more.
//  4. Open writes nothing before every record is read and applied. Whatever it
//     has shown is durable in files that it has synced itself when it returns.
//  5. Bytes that the log is known to have synced are never cut: where they do
//     not read back, Open reports a *CorruptError and changes nothing.
//
// # Who may call what at once
//
// Append belongs to one goroutine at a time, and so does Sync, but the two may
// run at once. Every other method may be called at any time by anyone, until
// Close.
package wal
