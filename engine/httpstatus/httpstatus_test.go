package httpstatus_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/httpstatus"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// ask returns the status and the body of an answer.
func ask(h http.Handler, method, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, w.Body.String()
}

func open(t *testing.T, dir string, o engine.Options) *engine.DB {
	t.Helper()
	db, err := engine.Open(dir, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestHandler: two databases, of which one runs into a full disk, fails, and is
// closed.
func TestHandler(t *testing.T) {
	in := faultfs.Inject(vfs.NewMem())
	good := open(t, "good", engine.Options{FS: vfs.NewMem()})
	bad := open(t, "bad", engine.Options{FS: in})
	h := httpstatus.Handler(good, bad)
	want := func(path string, status int, lines ...string) {
		t.Helper()
		code, body := ask(h, "GET", path)
		if code != status {
			t.Errorf("GET %s: %d, want %d; %s", path, code, status, body)
		}
		for _, line := range lines {
			if !strings.Contains(body, line) {
				t.Errorf("GET %s: %q is not in %q", path, line, body)
			}
		}
	}
	want("/livez", 200, "ok\n")
	want("/readyz", 200, "ok\n")
	want("/metrics", 200, "# TYPE lightning_commits_total counter\n", `lightning_commits_total{db="good"} 0`, `lightning_commits_total{db="bad"} 0`)
	want("/", 404)
	if code, _ := ask(h, "POST", "/metrics"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %d", code)
	}

	in.SetCapacity(64 << 20) // less than two checkpoints may need: known, but no reason to take no traffic
	want("/readyz", 200, "bad: disk: ")

	in.SetCapacity(-1)
	if err := bad.Put([]byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpWrite)
	if _, err := bad.Checkpoint(t.Context()); !errors.Is(err, engine.ErrNoSpace) {
		t.Fatal(err)
	}
	want("/livez", 200, "bad: checkpoint: ")
	want("/readyz", 503, "bad: checkpoint: ")
	in.FailNth(0, nil, false) // not before: the database tries again by itself
	if _, err := bad.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("/readyz", 200)

	// The log finds no room, while checkpoints do: there is some in btree.db.
	in.FailNth(1, vfs.ErrNoSpace, true, faultfs.OpAllocate)
	for i := 0; ; i++ {
		if err := bad.Put([]byte("a"), make([]byte, 60<<10)); errors.Is(err, engine.ErrNoSpace) {
			break
		} else if err != nil || i > 1000 {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	for range 2 {
		if _, err := bad.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("/livez", 200, "bad: disk: ")
		want("/readyz", 503, "bad: disk: the disk is full: the last commit was refused; make room")
	}
	in.FailNth(0, nil, false)
	if err := bad.Put([]byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	want("/readyz", 200)

	in.FailNth(1, syscall.EIO, false, faultfs.OpSync)
	if err := bad.Put([]byte("a"), nil); !errors.Is(err, engine.ErrFailed) {
		t.Fatal(err)
	}
	want("/livez", 503, "bad: failed: ")
	want("/readyz", 503, "bad: failed: ")
	want("/metrics", 200, `lightning_failed{db="bad"} 1`)

	_ = bad.Close()
	want("/livez", 200, "bad: closed: the database is closed")
	want("/readyz", 503, "bad: closed: the database is closed")
	want("/metrics", 503, "the database is closed")
}

func ExampleHandler() {
	db, err := engine.Open("my.db", &engine.Options{FS: vfs.NewMem()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	mux := http.NewServeMux()
	mux.Handle("/", httpstatus.Handler(db)) // /metrics, /livez, /readyz
	server := httptest.NewServer(mux)
	defer server.Close()
	answer, err := http.Get(server.URL + "/readyz")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)
	// Output: 200 OK
}
