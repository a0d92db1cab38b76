package history_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/stress/history"
)

// What a Recorder writes is read again as what it collected, also when the
// writer was killed in the middle of a line.
func TestRecorder_Log(t *testing.T) {
	var log bytes.Buffer
	r := history.Recorder{Log: &log}
	r.SetClock(10)
	first := r.Begin()
	first.Read(7, []uint32{1, 2})
	first.Append(7, 3)
	r.Commits(first)
	second := r.Begin()
	second.Read(1<<32-1, nil)
	r.End(second, history.Aborted)
	r.End(first, history.Committed)
	third := r.Begin()
	third.Append(8, 1<<32-1)
	r.Commits(third)
	r.End(third, history.Unknown)
	if n := r.Ops(); n != 4 {
		t.Errorf("%d operations, want 4", n)
	}
	txs, err := history.Parse(log.String() + "99 100 ok r7=1,")
	check(t, err)
	if want := []*history.Tx{first, second, third}; !reflect.DeepEqual(txs, want) {
		t.Errorf("parsed %v, want %v", txs, want)
	}
	if want := "11 14 ok r7=1,2 a7=3"; first.String() != want {
		t.Errorf("%s, want %s", first, want)
	}
	r.Settle()
	if third.End <= third.Begin || third.Outcome != history.Unknown {
		t.Errorf("settled: %s", third)
	}
	if n := len(r.Take()); n != 3 || r.Ops() != 0 || len(r.Take()) != 0 {
		t.Errorf("took %d transactions, %d operations are left", n, r.Ops())
	}
}

func TestParse_Refuses(t *testing.T) {
	for _, text := range []string{"1", "1 2", "x 2 ok", "1 2 ok r7", "1 2 ok x7=1", "1 2 ok r7=1,x", "1 2 ok a7=1,2", "1 2 ok a7=", "1 2 done"} {
		if txs, err := history.Parse(text + "\n"); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, %v", text, txs, err)
		}
	}
}
