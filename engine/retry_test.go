package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/engine"
)

// Retry calls again for what goes away by itself, and for nothing else.
func TestRetry_Classes(t *testing.T) {
	for name, err := range sentinels {
		calls := 0
		have := engine.Retry(t.Context(), func() error {
			if calls++; calls < 3 {
				return fmt.Errorf("wrapped: %w", err)
			}
			return nil
		})
		if again := engine.ClassOf(err) == engine.ClassRetry; again != (calls == 3) || again != (have == nil) {
			t.Errorf("%s: %d calls, %v", name, calls, have)
		}
	}
}

// The budget: 1,000 calls, or the deadline, which may be further or nearer. What
// was in the way last is told.
func TestRetry_Budget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			budget      time.Duration // 0: no deadline
			least, most int           // calls
		}{{0, 1000, 1000}, {10 * time.Minute, 6000, 1 << 30}, {time.Second, 10, 200}, {time.Nanosecond, 1, 3}} {
			ctx, began := context.Background(), time.Now()
			if c.budget > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.budget)
				defer cancel()
			}
			calls := 0
			err := engine.Retry(ctx, func() error {
				calls++
				return engine.ErrConflict
			})
			if !errors.Is(err, engine.ErrConflict) || errors.Is(err, context.DeadlineExceeded) != (c.budget > 0) {
				t.Errorf("budget %v: %v", c.budget, err)
			}
			if calls < c.least || calls > c.most {
				t.Errorf("budget %v: %d calls, want %d to %d", c.budget, calls, c.least, c.most)
			}
			if took := time.Since(began); c.budget > 0 && took != c.budget {
				t.Errorf("budget %v: it ended after %v", c.budget, took)
			}
		}
	})
}

// A context that is done ends a pause, and nothing is called any more.
func TestRetry_Context(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		time.AfterFunc(10*time.Second, cancel)
		began := time.Now()
		err := engine.Retry(ctx, func() error {
			calls++
			return &engine.LockedError{Path: "my.db"}
		})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, engine.ErrLocked) {
			t.Errorf("have %v", err)
		}
		if time.Since(began) != 10*time.Second {
			t.Errorf("it went on for %v", time.Since(began))
		}
		done := calls
		if err := engine.Retry(ctx, func() error { calls++; return nil }); !errors.Is(err, context.Canceled) || calls != done {
			t.Errorf("of a context that is done: %v, %d calls", err, calls-done)
		}
	})
}

// The pauses: none after the first failure, then at random below a limit that
// doubles up to 100 ms.
func TestRetry_Pauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const runs = 200
		var longest [30]time.Duration
		different := map[time.Duration]bool{}
		for range runs {
			last, n := time.Now(), 0
			_ = engine.Retry(t.Context(), func() error {
				if n > 0 {
					pause := time.Since(last)
					longest[n] = max(longest[n], pause)
					if n == len(longest)-1 {
						different[pause] = true
						return nil
					}
				}
				last, n = time.Now(), n+1
				return engine.ErrConflict
			})
		}
		if longest[1] != 0 {
			t.Errorf("a pause of %v after the first failure", longest[1])
		}
		for n, have := range longest[2:] {
			limit := min(50*time.Microsecond<<n, 100*time.Millisecond)
			// One of 200 that are drawn evenly is in the upper half, but for once in 10^60.
			if have > limit || have < limit/2 {
				t.Errorf("the longest of %d pauses after %d failures is %v, the limit %v", runs, n+2, have, limit)
			}
		}
		if len(different) < runs/2 {
			t.Errorf("%d pauses were of %d lengths", runs, len(different))
		}
	})
}

// A model of contention: many optimistic transactions on one key, which begin at
// the same moment and each take some time. Of those that overlap the first to
// commit wins. All get through, far within the budget, and in fewer tries than
// without pauses, where all that are left try at once: n(n+1)/2.
func TestRetry_Contention(t *testing.T) {
	const takes = 100 * time.Microsecond
	for _, n := range []int{2, 8, 64, 256} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			version, tries, worst := 0, 0, 0
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					mine := 0
					err := engine.Retry(t.Context(), func() error {
						mu.Lock()
						began := version
						tries++
						mu.Unlock()
						mine++
						time.Sleep(takes)
						mu.Lock()
						defer mu.Unlock()
						worst = max(worst, mine)
						if version != began {
							return engine.ErrConflict
						}
						version++
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			t.Logf("%d transactions, %d tries, at most %d of one", n, tries, worst)
			if version != n {
				t.Errorf("%d of %d were committed", version, n)
			}
			if lockstep := n * (n + 1) / 2; n >= 64 && tries > lockstep/2 {
				t.Errorf("%d transactions took %d tries, in lockstep they take %d", n, tries, lockstep)
			}
			if worst > 500 {
				t.Errorf("one took %d tries: half of the budget", worst)
			}
		})
	}
}

// Update is run again for conflicts only: a function's own error of the class is
// its answer. Without a deadline it gives up, and nothing of it is written.
func TestUpdate_Budget(t *testing.T) {
	db := openMem(t, engine.Options{Sync: engine.SyncOff})
	calls := 0
	if err := db.Update(t.Context(), func(*engine.Tx) error {
		calls++
		return engine.ErrLocked
	}); err != engine.ErrLocked || calls != 1 {
		t.Errorf("have %v after %d calls", err, calls)
	}
	synctest.Test(t, func(t *testing.T) {
		db := openMem(t, engine.Options{Sync: engine.SyncOff})
		defer closeDB(t, db)
		calls := 0
		err := db.Update(context.Background(), func(tx *engine.Tx) error {
			calls++
			if _, err := tx.Has([]byte("k")); err != nil {
				return err
			}
			mustPut(t, db, "k", fmt.Sprint(calls)) // always in the way
			return tx.Put([]byte("other"), nil)
		})
		if !errors.Is(err, engine.ErrConflict) || calls != 1000 {
			t.Errorf("have %v after %d calls", err, calls)
		}
		if ok, _ := db.Has([]byte("other")); ok {
			t.Error("the transaction was committed")
		}
	})
}
