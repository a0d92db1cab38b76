// Package engine is Lightning DB: an embedded, ordered key-value store.
//
// A database is a directory. Keys and values are bytes; keys are ordered as
// bytes.Compare orders them. One process writes at a time, with as many
// goroutines as it likes; other processes may read beside it
// (Options.ReadOnly).
//
//	db, err := engine.Open("my.db", nil)
//	err = db.Put([]byte("user:1"), []byte("Ada"))
//	value, err := db.Get([]byte("user:1"))
//
// Several writes that belong together are a Batch or a transaction:
//
//	err = db.Update(ctx, func(tx *engine.Tx) error {
//		n, err := tx.Get([]byte("count"))
//		...
//		return tx.Put([]byte("count"), next)
//	})
//
// Transactions are serializable, take no locks, and are retried by Update when
// another got in their way. A Snapshot is the database at one moment for as
// long as it is open. Neither ever waits for a writer, nor a writer for them.
//
// # What a commit promises
//
// When a write returns, its commit is acknowledged; Options.Sync says what
// that means for a crash (docs/DURABILITY.md has the whole promise). In every
// mode a crash leaves whole commits, in their order, without holes.
//
// # Errors
//
// Sentinels, tested with errors.Is; ClassOf says what to do about one. Every byte that is returned was checked
// against a checksum; damage is a *CorruptError that names the place, never a
// wrong answer. After a failed write or sync of its log the database refuses
// writes (ErrFailed) and goes on reading.
package engine
