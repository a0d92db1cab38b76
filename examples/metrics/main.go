// Metrics is a program with a database that Prometheus watches. It counts, so
// that there is something to see, until it gets SIGINT or SIGTERM:
//
//	go run ./examples/metrics -db my.db -listen 127.0.0.1:8080
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/httpstatus"
)

func main() {
	dir := flag.String("db", "example.db", "the database")
	listen := flag.String("listen", "127.0.0.1:8080", "where /metrics, /livez and /readyz are served; port 0: any")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *listen); err != nil {
		fmt.Fprintln(os.Stderr, "metrics:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, listen string) (err error) {
	db, err := engine.Open(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: httpstatus.Handler(db), ReadHeaderTimeout: 5 * time.Second}
	defer server.Close() // before the database
	go func() { _ = server.Serve(l) }()
	fmt.Printf("http://%s/metrics\n", l.Addr())
	return count(ctx, db)
}

// count counts up, a hundred times a second, and makes a checkpoint of every
// hundredth.
func count(ctx context.Context, db *engine.DB) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	key := []byte("count")
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := db.Update(ctx, func(tx *engine.Tx) error {
			var count uint64
			switch value, err := tx.Get(key); {
			case err == nil:
				count = binary.BigEndian.Uint64(value)
			case !errors.Is(err, engine.ErrNotFound):
				return err
			}
			return tx.Put(key, binary.BigEndian.AppendUint64(nil, count+1))
		})
		if err == nil && n%100 == 0 {
			_, err = db.Checkpoint(ctx)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}
