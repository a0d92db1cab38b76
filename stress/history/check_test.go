package history_test

import (
	"strings"
	"testing"

	"github.com/lightning-db/lightning/stress/history"
)

// parse reads a history: transactions apart by a semicolon or a line break.
func parse(t *testing.T, text string) []*history.Tx {
	t.Helper()
	txs, err := history.Parse(strings.ReplaceAll(text, ";", "\n") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return txs
}

// histories are by hand: each has one anomaly, or none.
var histories = []struct{ name, want, text string }{
	{"nothing", "", ""},
	{"one after the other", "", "1 2 ok r1= a1=1; 3 4 ok r1=1 a1=2 a2=1; 5 6 ok r1=1,2 r2=1"},
	{"at once, one before the other", "", "1 10 ok r1= a1=1 r2=; 2 9 ok r1=1 a2=1; 11 12 ok r1=1 r2=1"},
	{"its own appends", "", "1 2 ok a1=1 r1=1 a1=2 r1=1,2 a2=7; 3 4 ok r1=1,2 a1=3 r1=1,2,3"},
	{"blind appends, in either order", "", "1 4 ok a1=1; 2 3 ok a1=2; 5 6 ok r1=2,1"},
	{"aborted, and not seen", "", "1 2 aborted r1= a1=1; 3 4 ok r1="},
	{"unknown, and not seen", "", "1 0 unknown r1= a1=1 a2=1; 3 4 ok r1= a1=2; 5 6 ok r1=2 r2="},
	{"unknown, and seen later", "", "1 0 unknown r1= a1=1 a2=1; 3 4 ok r1=; 5 6 ok r1=1 r2=1"},

	{"unknown, and half of it seen", "G-single", "1 0 unknown a1=1 a2=1; 3 6 ok r1=1 r2="},
	{"unknown, settled, and seen to happen after that", "G-single-realtime", "1 3 unknown a1=1; 4 5 ok r1=; 6 7 ok r1=1"},
	{"the first of its two appends is lost", "G-single", "1 2 ok a1=1 a1=2; 3 4 ok r1=2"},
	{"nobody wrote it", "garbage", "1 2 ok a1=1; 3 4 ok r1=1,9"},
	{"another list's", "garbage", "1 2 ok a1=1; 3 4 ok r2=1"},
	{"there twice", "duplicate", "1 2 ok a1=1; 3 4 ok r1=1,1"},
	{"two orders", "incompatible order", "1 2 ok a1=1; 3 10 ok a1=2; 4 9 ok a1=3; 5 6 ok r1=1,2; 7 8 ok r1=1,3"},
	{"own write not seen", "internal", "1 2 ok a1=1 r1="},
	{"another read than before", "internal", "1 4 ok r1= r1=1; 2 3 ok a1=1"},
	{"G1a", "G1a", "1 2 aborted a1=1; 3 4 ok r1=1"},
	{"G1a under others", "G1a", "1 2 aborted a1=1; 3 4 ok a1=2; 5 6 ok r1=1,2"},
	{"G1b", "G1b", "1 4 ok a1=1 a1=2; 2 3 ok r1=1"},
	{"G0", "G0", "1 4 ok a1=1 a2=1; 2 3 ok a1=2 a2=2; 5 6 ok r1=1,2 r2=2,1"},
	{"G0, of a dirty write", "G0", "1 4 ok a1=1 a1=2; 2 3 ok a1=3; 5 6 ok r1=1,3,2"},
	{"G1c", "G1c", "1 4 ok a1=1 r2=1; 2 3 ok a2=1 r1=1"},
	{"G1c with ww", "G1c", "1 4 ok a1=1 a2=1; 2 3 ok r2=1 a1=2; 5 6 ok r1=2,1"},
	{"G-single: a read of two moments", "G-single", "1 4 ok r1= r2=1; 2 3 ok a1=1 a2=1; 5 6 ok r1=1 r2=1"},
	{"G-single of three", "G-single", "1 6 ok r1= r3=1; 2 3 ok a1=1 a2=1; 4 5 ok r2=1 a3=1; 7 8 ok r1=1"},
	{"lost update", "lost update", "1 4 ok r1= a1=1; 2 3 ok r1= a1=2; 5 6 ok r1=1,2"},
	{"lost update without a trace", "lost update", "1 4 ok r1= a1=1; 2 3 ok r1= a1=2; 5 6 ok r1=2"},
	{"long fork", "G-nonadjacent", "1 20 ok a1=1; 2 19 ok a2=1; 3 18 ok r1=1 r2=; 4 17 ok r1= r2=1; 21 22 ok r1=1 r2=1"},
	{"write skew", "G2-item", "1 4 ok r1= a2=1; 2 3 ok r2= a1=1; 5 6 ok r1=1 r2=1"},
	{"write skew of three", "G2-item", "1 6 ok r1= a2=1; 2 5 ok r2= a3=1; 3 4 ok r3= a1=1; 7 8 ok r1=1 r2=1 r3=1"},
	{"write skew, nobody looked", "G2-item", "1 4 ok r1= a2=1; 2 3 ok r2= a1=1"},
	{"an acknowledged append is lost", "G-single-realtime", "1 2 ok a1=1; 3 4 ok r1="},
	{"a stale read", "G-single-realtime", "1 2 ok a1=1; 3 4 ok r1=; 5 6 ok r1=1"},
	{"a stale read, later not", "G-single-realtime", "1 9 ok a1=1; 2 3 ok r1=1; 4 5 ok r1=; 10 11 ok r1=1"},
	{"appended in front of what had ended", "G0-realtime", "1 2 ok a1=1; 3 4 ok a1=2; 5 6 ok r1=2,1"},
	{"read before it was begun", "G1c-realtime", "1 2 ok r1=1; 3 4 ok a1=1"},
	{"a long fork, as time tells", "G-nonadjacent-realtime", "1 9 ok a1=1; 2 8 ok r1=1 r2=; 3 4 ok a2=1; 5 10 ok r1=; 11 12 ok r1=1 r2=1"},
	{"write skew, as time tells", "G2-item-realtime", "1 9 ok r2= a1=1; 2 3 ok a2=1; 4 5 ok r1=; 10 11 ok r1=1 r2=1"},
	{"what an aborted transaction read", "G-single", "1 4 aborted r1= r2=1 a3=1; 2 3 ok a1=1 a2=1; 5 6 ok r1=1 r2=1"},
}

func TestCheck(t *testing.T) {
	for _, c := range histories {
		t.Run(c.name, func(t *testing.T) {
			r := history.Check(parse(t, c.text))
			have := []string{}
			for i := range r.Anomalies {
				name, _, _ := strings.Cut(r.Anomalies[i].Text, ":")
				have = append(have, name)
			}
			found := len(have) == 0 && c.want == ""
			for _, name := range have {
				found = found || name == c.want
			}
			if !found {
				t.Fatalf("found %q, want %q\n%v", have, c.want, r.Anomalies)
			}
			if (r.Err(history.Serializable) == nil) != (c.want == "") {
				t.Errorf("Err: %v", r.Err(history.Serializable))
			}
			tolerated := c.want == "" || strings.HasPrefix(c.want, "G2")
			if err := r.Err(history.SnapshotIsolation); (err == nil) != tolerated {
				t.Errorf("under snapshot isolation: %v", err)
			}
		})
	}
}
