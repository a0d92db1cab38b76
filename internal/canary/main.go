// Command canary shows that the tests can fail. It plants bugs, each by itself,
// that break a promise of the product, and runs the test that must notice: a
// canary that survives is a test that is missing.
//
//	go run ./internal/canary                 all of them
//	go run ./internal/canary -run '^wal/'    those whose names match
//	go run ./internal/canary -every 2        every second one
//	go run ./internal/canary -list           tell them, and plant none
//
// A bug is an edit of one file (table.go and the files beside it), which the go
// command is given in the file's place (go test -overlay): the tree itself is
// never touched. First the same tests are run without any bug, since a test
// that fails anyway notices nothing.
//
// It exits with 1 when one survives, cannot be planted, or makes its test hang.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"sync"
	"time"
)

// limit is how long a test may take to notice a bug.
const limit = time.Minute

func main() {
	only := flag.String("run", "", "plant those whose names match the regular `expression`")
	every := flag.Int("every", 1, "plant every so manyth of them")
	list := flag.Bool("list", false, "tell the canaries, and plant none")
	control := flag.Bool("control", true, "see first that the tests pass without a bug")
	jobs := flag.Int("jobs", runtime.GOMAXPROCS(0), "plant so many at a time")
	verbose := flag.Bool("v", false, "show what the tests say")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := runner{root: ".", jobs: *jobs, limit: limit, verbose: *verbose, out: os.Stdout}
	if err := run(ctx, &r, *only, *every, *list, *control); err != nil {
		fmt.Fprintln(os.Stderr, "canary:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, r *runner, only string, every int, list, control bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var chosen []canary
	for i, c := range canaries() {
		if wanted.MatchString(c.name) && i%max(1, every) == 0 {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return errors.New("no canary has such a name")
	}
	if list {
		for _, c := range chosen {
			fmt.Fprintf(r.out, "%-38s %s; %s must fail\n", c.name, c.breaks, c.test)
		}
		return nil
	}
	if control {
		if err := r.control(ctx, chosen); err != nil {
			return err
		}
	}
	return r.plantAll(ctx, chosen)
}

// plantAll plants them, as many at a time as there are jobs, and tells of each
// what became of it.
func (r *runner) plantAll(ctx context.Context, chosen []canary) error {
	began, caught := time.Now(), 0
	free := make(chan struct{}, max(1, r.jobs))
	var mu sync.Mutex // guards out and caught
	var work sync.WaitGroup
	for i := range chosen {
		free <- struct{}{}
		work.Go(func() {
			defer func() { <-free }()
			if ctx.Err() != nil {
				return
			}
			c := &chosen[i]
			v := r.plant(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if r.verbose {
				r.out.Write(v.said)
			}
			if v.caught {
				caught++
				fmt.Fprintf(r.out, "caught    %-38s %5.1f s  by %s: %s\n", c.name, v.seconds, v.test, c.breaks)
			} else if ctx.Err() == nil {
				fmt.Fprintf(r.out, "%-9s %-38s %5.1f s  %s: %s\n          repeat: go run ./internal/canary -v -run '^%s$'\n",
					v.word, c.name, v.seconds, c.breaks, v.why, c.name)
			}
		})
	}
	work.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%d of %d caught in %.0f s\n", caught, len(chosen), time.Since(began).Seconds())
	if caught < len(chosen) {
		return fmt.Errorf("%d of %d were not caught", len(chosen)-caught, len(chosen))
	}
	return nil
}
