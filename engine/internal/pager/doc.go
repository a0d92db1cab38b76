// Package pager keeps btree.db: it finds room for extents, reads and verifies
// them, holds nodes in memory within a byte limit, and moves the database from
// one generation to the next in a single durable step.
//
// It knows what an extent is and nothing of keys. The format it keeps is
// docs/FORMAT.md, section btree.db; numbers such as M2 cite the promises there.
//
// # What it promises
//
//  1. Every byte it returns has been compared with the checksum in its
//     reference. Whatever stands on the disk, reading gives the right bytes or
//     a *CorruptError, and never panics.
//  2. Nothing that the newest durable meta reaches, or that a pinned
//     generation reaches, is overwritten (M2).
//  3. A generation is published whole or not at all, also across a crash.
//  4. After a failed sync or a failed write of the meta nothing is written any
//     more; reads go on.
//  5. The nodes in memory take no more than Options.CacheBytes.
package pager
