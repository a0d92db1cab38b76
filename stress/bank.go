package stress

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/lightning-db/lightning/engine"
)

// Bank is a workload of transactions that move money between accounts; the sum
// is what it was at the beginning in every snapshot, transaction and after
// every crash. Its methods may be called by many goroutines at once.
type Bank struct {
	Accounts int
	Each     uint64 // in each account at the beginning

	db atomic.Pointer[engine.DB]

	// Counts of what was done.
	Transfers, Sums atomic.Int64
}

// Use says which database is worked on from now on.
func (b *Bank) Use(db *engine.DB) { b.db.Store(db) }

func account(i int) []byte { return fmt.Appendf(nil, "account/%06d", i) }

// Fill makes the accounts, if there are none.
func (b *Bank) Fill(ctx context.Context) error {
	db := b.db.Load()
	if ok, err := db.Has(account(0)); ok || err != nil {
		return err
	}
	batch := db.NewBatch()
	for i := range b.Accounts {
		if err := batch.Put(account(i), binary.BigEndian.AppendUint64(nil, b.Each)); err != nil {
			return err
		}
	}
	return db.Apply(ctx, batch)
}

// Step moves some money, or, one time in eight, counts it all. Errors are those
// of KV.Step.
func (b *Bank) Step(ctx context.Context, rng *rand.Rand) error {
	db := b.db.Load()
	if rng.IntN(8) == 0 {
		return b.Check(db)
	}
	from, to := rng.IntN(b.Accounts), rng.IntN(b.Accounts)
	amount := uint64(1 + rng.IntN(10))
	err := db.Update(ctx, func(tx *engine.Tx) error {
		have, err := number(tx, account(from))
		if err != nil || have < amount || from == to {
			return err
		}
		other, err := number(tx, account(to))
		if err != nil {
			return err
		}
		return errors.Join(
			tx.Put(account(from), binary.BigEndian.AppendUint64(nil, have-amount)),
			tx.Put(account(to), binary.BigEndian.AppendUint64(nil, other+amount)))
	})
	if err == nil {
		b.Transfers.Add(1)
	}
	return err
}

// Check counts the money of one moment.
func (b *Bank) Check(db *engine.DB) error {
	s, err := db.Snapshot()
	if err != nil {
		return err
	}
	defer s.Close()
	sum, n := uint64(0), 0
	for key, value := range s.ScanPrefix([]byte("account/")) {
		if len(value) != 8 {
			return wrong(fmt.Errorf("%q has a value of %d bytes, written were 8", key, len(value)))
		}
		sum += binary.BigEndian.Uint64(value)
		n++
	}
	if err := s.Err(); err != nil {
		return err
	}
	if want := b.Each * uint64(b.Accounts); sum != want || n != b.Accounts {
		return wrong(fmt.Errorf("%d accounts hold %d, want %d that hold %d", n, sum, b.Accounts, want))
	}
	b.Sums.Add(1)
	return nil
}
