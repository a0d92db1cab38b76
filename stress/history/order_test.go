package history_test

import (
	"strings"
	"testing"

	"github.com/lightning-db/lightning/stress/history"
)

// The order of the commits is that of the lines with a sequence number.
func TestCheckOrder(t *testing.T) {
	for _, c := range []struct {
		name, text string
		order      []uint64
		want       string // of the error; "": none
		snapshot   string // the same, under snapshot isolation
	}{
		{"one after the other", "1 2 ok r1= a1=1; 3 4 ok r1=1 a1=2; 5 6 ok r1=1,2", []uint64{1, 2, 0}, "", ""},
		{"a read at once with commits", "1 9 ok r1=1 r2=; 2 3 ok a1=1; 4 5 ok a2=1", []uint64{0, 1, 2}, "", ""},
		{"a read of two moments", "1 9 ok r1= r2=1; 2 3 ok a1=1; 4 5 ok a2=1", []uint64{0, 1, 2}, "no moment", "no moment"},
		{"a stale read", "1 2 ok a1=1; 3 4 ok r1=", []uint64{1, 0}, "no moment", "no moment"},
		{"an older read after a newer one", "1 9 ok a1=1; 2 3 ok r1=1; 4 5 ok r1=", []uint64{1, 0, 0}, "no moment", "no moment"},
		{"write skew", "1 4 ok r1= a2=1; 2 3 ok r2= a1=1", []uint64{1, 2}, "no moment", ""},
		{"lost update", "1 4 ok r1= a1=1; 2 3 ok r1= a1=2", []uint64{1, 2}, "replaced", "replaced"},
		{"committed, not in the order", "1 2 ok a1=1", []uint64{0}, "lacks", "lacks"},
		{"aborted, in the order", "1 2 aborted a1=1", []uint64{1}, "wrote nothing", "wrote nothing"},
		{"unknown, and in it", "1 0 unknown a1=1; 2 3 ok r1=1", []uint64{1, 0}, "", ""},
		{"in front of what had ended", "1 2 ok a1=1; 3 4 ok a1=2", []uint64{2, 1}, "no moment", "no moment"},
		{"half a commit", "1 4 ok a1=1 a1=2; 2 3 ok r1=1", []uint64{1, 0}, "half", "half"},
		{"never so", "1 4 ok a1=1 a1=2; 2 3 ok r1=2", []uint64{1, 0}, "never", "never"},
		{"its own appends", "1 2 ok r1= a1=1 r1=1 a1=2 r1=1,2; 3 4 ok r1=1,2", []uint64{1, 0}, "", ""},
		{"another's in the place of its own", "1 4 ok r1= a1=1 r1=2; 2 3 ok a2=2", []uint64{2, 1}, "never", "never"},
	} {
		t.Run(c.name, func(t *testing.T) {
			txs := parse(t, c.text)
			for i, seq := range c.order {
				txs[i].Seq = seq
			}
			for i, want := range []string{c.want, c.snapshot} {
				err := history.CheckOrder(txs, i == 1)
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("snapshot %v: %v, want %q", i == 1, err, want)
				}
			}
		})
	}
}
