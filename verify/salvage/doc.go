// Package salvage makes a new database of what can be read of a damaged one.
//
// # What it promises
//
//  1. The source is only read. Nobody may write to it meanwhile: where the
//     system can, it is locked against that for so long. Who has it open
//     already is reported (Report.InUse), and where a checkpoint was written,
//     nothing is made.
//  2. Whatever the bytes are, it does not panic, and ends.
//  3. What it takes over has agreed with its checksums. A wrong byte is never
//     taken over; what is lost is in the report.
//  4. Of an undamaged database all is taken over, and nothing else. Nobody can
//     tell a commit that a power cut kept from being written from one that was
//     damaged since: whole commits behind such a place are taken over as well,
//     and the report says so.
//  5. The destination gets its name when it is whole and durable. A run that
//     fails or is killed leaves no database of that name.
//
// # How
//
// The destination is an ordinary database, into which sources are written from
// the oldest to the newest, so that the newest version of a key stays: extents
// that nothing refers to any more, where something was lost; the trees; the
// sorted runs in front of them; the log, as far as the checksums of its records
// hold, whose headers and files may be damaged.
//
// A subtree that cannot be reached leaves a range of keys behind, whose leaves
// may still lie in the file. They are looked for by their headers and
// checksums. Where the free list can be read, and only one tree of a keyspace
// has lost something, an extent that is neither free nor reached is proved to
// be what was lost, since every unit of the file is either in use or free.
// Otherwise it may be of an older generation, and what comes of it is reported
// as such: values may be old, and deleted keys may be back.
package salvage
