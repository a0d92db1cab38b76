package eventlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/eventlog"
	"github.com/lightning-db/lightning/engine/vfs"
)

var (
	when = time.Date(2026, 5, 17, 3, 0, 0, 0, time.UTC)
	head = engine.EventHead{Time: when}
	err  = errors.New("input/output error")
)

// logged are events and what is written of each, at which level.
var logged = []struct {
	event engine.Event
	want  string
}{
	{
		&engine.Opened{EventHead: head, Path: "my.db", Report: engine.OpenReport{Commits: 2, Operations: 3, LogBytes: 400, Duration: time.Second}},
		`INFO msg="database opened" path=my.db created=false clean=false commits_recovered=2 operations_recovered=3 log_bytes_read=400 torn_bytes_cut=0 duration=1s`,
	},
	{
		&engine.Opened{EventHead: head, Path: "my.db", Report: engine.OpenReport{TornBytes: 77}},
		`WARN msg="database opened" path=my.db created=false clean=false commits_recovered=0 operations_recovered=0 log_bytes_read=0 torn_bytes_cut=77 duration=0s`,
	},
	{&engine.Closed{EventHead: head, Duration: time.Second}, `INFO msg="database closed" duration=1s`},
	{&engine.Closed{EventHead: head, Err: err}, `ERROR msg="database closed" duration=0s error="input/output error"`},
	{
		&engine.CheckpointBegun{EventHead: head, Kind: engine.CheckpointMemtables, Operations: 5, LogBytes: 600},
		`DEBUG msg="checkpoint begun" kind=memtables operations=5 log_bytes=600`,
	},
	{
		&engine.CheckpointEnded{EventHead: head, Kind: engine.CheckpointRuns, Operations: 5, Bytes: 700, LogBefore: 600, LogAfter: 50, Duration: time.Second},
		`DEBUG msg="checkpoint ended" kind=runs operations=5 bytes_written=700 log_bytes_before=600 log_bytes_after=50 duration=1s`,
	},
	{
		&engine.CheckpointEnded{EventHead: head, Kind: engine.CheckpointClose, Err: err},
		`WARN msg="checkpoint ended" kind=close operations=0 bytes_written=0 log_bytes_before=0 log_bytes_after=0 duration=0s error="input/output error"`,
	},
	{
		&engine.LogRotated{EventHead: head, Segment: 9, Bytes: 1 << 20, Waited: time.Second},
		`DEBUG msg="log goes on in another segment" segment=9 bytes=1048576 waited=1s`,
	},
	{&engine.StallBegun{EventHead: head, Cause: engine.StallLog}, `WARN msg="commits wait for a checkpoint" cause=log`},
	{
		&engine.StallEnded{EventHead: head, Cause: engine.StallMemtables, Commits: 4, Duration: time.Second, Err: err},
		`WARN msg="commits wait no more" cause=memtables commits=4 duration=1s error="input/output error"`,
	},
	{
		&engine.SlowOperation{EventHead: head, Operation: "put", Keyspace: "users", Operations: 1, Bytes: 30, Duration: time.Second},
		`WARN msg="slow operation" operation=put keyspace=users operations=1 bytes=30 duration=1s`,
	},
	{
		&engine.CachePressure{EventHead: engine.EventHead{Time: when, Lost: 12}, Hits: 7, Misses: 1000, CacheBytes: 90, CacheLimit: 100},
		`WARN msg="cache is too small for what is read" hits=7 misses=1000 cache_bytes=90 cache_limit=100 events_lost_before=12`,
	},
	{
		&engine.Corruption{EventHead: head, Err: &engine.CorruptError{Path: "my.db/btree.db", Offset: 8192, Kind: "checksum", Reason: "bits"}},
		`ERROR msg="damage found" file=my.db/btree.db offset=8192 kind=checksum reason=bits`,
	},
	{&engine.DiskFull{EventHead: head, Err: err}, `WARN msg="disk is full" error="input/output error"`},
	{&engine.SpaceRegained{EventHead: head, Duration: time.Minute}, `INFO msg="disk has space again" duration=1m0s`},
	{
		&engine.BackgroundError{EventHead: head, Doing: "checkpoint", Err: err},
		`ERROR msg="work in the background failed" doing=checkpoint error="input/output error"`,
	},
	{&engine.Failed{EventHead: head, Err: err}, `ERROR msg="database takes no more writes" error="input/output error"`},
}

func TestNew(t *testing.T) {
	for _, c := range logged {
		var out strings.Builder
		eventlog.New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))(c.event)
		if want := "time=2026-05-17T03:00:00.000Z level=" + c.want + "\n"; out.String() != want {
			t.Errorf("%T:\nhave %swant %s", c.event, out.String(), want)
		}
	}
}

// The list above has every event that the engine has.
func TestNew_KnowsAllEvents(t *testing.T) {
	have := map[string]bool{}
	for _, c := range logged {
		have[strings.TrimPrefix(fmt.Sprintf("%T", c.event), "*engine.")] = true
	}
	text, err := os.ReadFile("../events.go")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if ok && len(fields.Fields.List[0].Names) == 0 { // EventHead is embedded
			if n++; !have[spec.Name.Name] {
				t.Errorf("%s is not tried", spec.Name.Name)
			}
		}
		return true
	})
	if n != len(have) {
		t.Errorf("%d events in events.go, %d are tried", n, len(have))
	}
}

// Of a database: what is below the logger's level is left out, and no key and no
// value is in it.
func TestNew_OfADatabase(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil)).With("db", "orders")
	db, err := engine.Open("my.db", &engine.Options{FS: vfs.NewMem(), Events: eventlog.New(logger), SlowOperation: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Put([]byte("SECRET"), []byte("SECRET")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var messages []string
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, "db=orders") {
			t.Errorf("no db=orders in %s", line)
		}
		_, rest, _ := strings.Cut(line, `msg="`)
		message, _, _ := strings.Cut(rest, `"`)
		messages = append(messages, message)
	}
	if have := strings.Join(messages, ", "); have != "database opened, slow operation, database closed" {
		t.Errorf("logged: %s", have)
	}
	if strings.Contains(out.String(), "SECRET") {
		t.Errorf("keys or values in the log:\n%s", out.String())
	}
}
