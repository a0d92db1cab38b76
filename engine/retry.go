package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// The pauses of Retry. The first failure is followed by none: mostly what was in
// the way is gone. Each pause is drawn between nothing and a limit that doubles
// up to the longest, so that those who got in each other's way do not meet again,
// and the more there are of them the seldomer they try.
const (
	firstPause   = 50 * time.Microsecond
	longestPause = 100 * time.Millisecond
)

// retryBudget is how many calls Retry makes where no deadline says for how long
// it may go on: about 50 seconds of pauses.
const retryBudget = 1000

// Retry calls fn until it returns nil or an error that is not of ClassRetry, and
// returns that. After each of those it pauses: at first hardly, then for longer,
// up to 100 ms, and always for a time drawn at random.
//
// The deadline of ctx is its budget; without one it gives up after 1,000 calls.
// Then, and when ctx is done, it returns the last error of fn, joined with that
// of ctx. A nil ctx is never done.
//
// It is for transactions of Begin, and for opening a database that another
// process has. Update has it.
func Retry(ctx context.Context, fn func() error) error {
	if fn == nil {
		return errNoFunction
	}
	return retry(orBackground(ctx), func() (bool, error) {
		err := fn()
		return ClassOf(err) == ClassRetry, err
	})
}

// retry is Retry of a function that says itself whether to call it again.
func retry(ctx context.Context, fn func() (again bool, err error)) error {
	_, limited := ctx.Deadline()
	var last error
	for calls := 0; ; calls++ {
		if calls == retryBudget && !limited {
			return errorf("%w, %d times in a row", last, calls)
		}
		if err := pause(ctx, calls); err != nil {
			if last != nil {
				err = errorf("%w: %w", err, last)
			}
			return err
		}
		again, err := fn()
		if !again {
			return err
		}
		last = err
	}
}

// pause waits after so many calls, or returns the error of a context that is
// done.
func pause(ctx context.Context, calls int) error {
	if calls < 2 {
		return ctx.Err()
	}
	limit := longestPause
	if doubled := calls - 2; doubled < 16 { // firstPause is doubled so often before it is longer
		limit = min(limit, firstPause<<doubled)
	}
	timer := time.NewTimer(rand.N(limit))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}
