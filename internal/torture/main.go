// Command torture runs the test programme of docs/RELIABILITY.md, about an hour
// of it on two cores, and prints one table at the end: each test, how much it
// did, how much was wanted, how long it took, and what it found.
//
//	go run ./internal/torture                    all of it (make torture)
//	go run ./internal/torture -run '^T(1|6)$'    the tests of these names
//	go run ./internal/torture -scale 0.02        a fiftieth of it
//	go run ./internal/torture -list              tell the tests, and run none
//
// It goes on behind a test that fails. What each test printed is in
// bin/torture/NAME.log, the table in bin/torture/table.md. The exit status is 1
// if a test failed, did less than was wanted, or is not there; a test that this
// machine cannot run is told as skipped and is no failure.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

func main() {
	only := flag.String("run", "", "run the tests whose names match the regular `expression`")
	scale := flag.Float64("scale", 1, "do so many times as much: 0.02 for a fiftieth")
	list := flag.Bool("list", false, "tell the tests, and run none")
	dir := flag.String("dir", filepath.Join("bin", "torture"), "where the logs and the table go")
	cores := flag.Int("cores", runtime.GOMAXPROCS(0), "tests that need one core run beside others until so many are taken")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := &runner{dir: *dir, scale: *scale, cores: max(1, *cores), out: os.Stdout, now: time.Now}
	ok, err := torture(ctx, r, programme, *only, *list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// torture runs the steps whose names match only, and reports whether all went
// well.
func torture(ctx context.Context, r *runner, steps []step, only string, list bool) (bool, error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	if !(r.scale > 0) {
		return false, fmt.Errorf("scale %v: want more than 0", r.scale)
	}
	var chosen []*step
	for i := range steps {
		if wanted.MatchString(steps[i].name) {
			chosen = append(chosen, &steps[i])
		}
	}
	if len(chosen) == 0 {
		return false, fmt.Errorf("no test has a name that matches %q", only)
	}
	if list {
		for _, s := range chosen {
			fmt.Fprintf(r.out, "%-4s %s (%s)\n", s.name, s.does, r.wanted(s))
		}
		return true, nil
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return false, err
	}
	began := r.now()
	rows := r.run(ctx, chosen)
	table := new(strings.Builder)
	good := writeTable(table, rows)
	fmt.Fprintf(table, "\n%d tests in %s, %d cores, scale %g.\n", len(rows), r.now().Sub(began).Round(time.Second), r.cores, r.scale)
	_, err = io.WriteString(r.out, "\n"+table.String())
	if writeErr := os.WriteFile(filepath.Join(r.dir, "table.md"), []byte(table.String()), 0o644); err == nil {
		err = writeErr
	}
	if err == nil {
		err = ctx.Err()
	}
	return good, err
}
