// Package history records what transactions on lists did, and checks that it
// can be explained: that they ran as if one after the other, in an order in
// which none comes after another that began when it had ended.
//
// A transaction reads lists of numbers and appends numbers to them; no number
// is appended twice to one list. So a list that was read tells all that was
// written to it before, in its order, and of a whole run it can be inferred who
// came before whom: Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies
// from Experimental Observations", VLDB 2020. Check does that and names what it
// finds as they do. CheckLists asks less, CheckOrder is for histories whose order of commits is known.
package history

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Outcome is what became of a transaction.
type Outcome uint8

const (
	// Unknown: nobody was told, as of a commit that a crash interrupted. It may
	// have happened or not: it has when somebody saw what it wrote.
	Unknown Outcome = iota
	Committed
	Aborted // nothing of it may be seen
)

var outcomes = [...]string{"unknown", "ok", "aborted"}

// Op is one operation of a transaction.
type Op struct {
	Key    uint32
	Append bool
	List   []uint32 // that was read; of an append, its one number
}

// Tx is a transaction and what it saw. What one that was aborted read counts
// too, as that of one that only read: also such a transaction reads from one
// moment.
type Tx struct {
	Ops        []Op
	Begin, End int64 // when it was begun, and when it had ended, on one clock; End is 0 when it never did
	Outcome    Outcome
	Seq        uint64 // its place in the order of commits, for CheckOrder; 0 when it has none
}

// Read notes that the list of key was read. It keeps list.
func (t *Tx) Read(key uint32, list []uint32) { t.add(Op{key, false, list}) }

// Append notes that number was appended to the list of key.
func (t *Tx) Append(key, number uint32) { t.add(Op{key, true, []uint32{number}}) }

func (t *Tx) add(op Op) { t.Ops = append(t.Ops, op) }

// String is the transaction as a line: when it began and ended, its outcome,
// and its operations, as in "3 9 ok r7=1,2 a7=4".
func (t *Tx) String() string {
	text := fmt.Sprintf("%d %d %s", t.Begin, t.End, outcomes[t.Outcome])
	for _, op := range t.Ops {
		verb := 'r'
		if op.Append {
			verb = 'a'
		}
		list := fmt.Sprint(op.List)
		text += fmt.Sprintf(" %c%d=%s", verb, op.Key, strings.ReplaceAll(list[1:len(list)-1], " ", ","))
	}
	return text
}

// Parse reads lines as String and a Recorder's Log write them. A later line
// about the same beginning replaces the earlier. What follows the last line
// break is left out: the writer was killed.
func Parse(text string) ([]*Tx, error) {
	var txs []*Tx
	at := map[int64]int{}
	text = text[:strings.LastIndexByte(text, '\n')+1]
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		t, err := parse(fields)
		if err != nil {
			return nil, fmt.Errorf("history: line %q: %w", line, err)
		}
		if i, ok := at[t.Begin]; ok {
			txs[i] = t
			continue
		}
		at[t.Begin] = len(txs)
		txs = append(txs, t)
	}
	return txs, nil
}

func parse(fields []string) (*Tx, error) {
	if len(fields) < 3 {
		return nil, io.ErrUnexpectedEOF
	}
	t := &Tx{}
	var err error
	number := func(text string, bits int) int64 {
		n, e := strconv.ParseInt(text, 10, bits)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	t.Begin, t.End = number(fields[0], 64), number(fields[1], 64)
	outcome := slices.Index(outcomes[:], fields[2])
	if outcome < 0 {
		return nil, fmt.Errorf("%q is no outcome", fields[2])
	}
	t.Outcome = Outcome(outcome)
	for _, field := range fields[3:] {
		key, list, ok := strings.Cut(field[1:], "=")
		if !ok || field[0] != 'r' && field[0] != 'a' {
			return nil, fmt.Errorf("%q is no operation", field)
		}
		op := Op{Key: uint32(number(key, 33)), Append: field[0] == 'a'}
		if list != "" {
			for n := range strings.SplitSeq(list, ",") {
				op.List = append(op.List, uint32(number(n, 33)))
			}
		}
		if op.Append && len(op.List) != 1 {
			return nil, fmt.Errorf("%q: an append is of one number", field)
		}
		t.Ops = append(t.Ops, op)
	}
	return t, err
}

// Recorder collects the transactions of a run. Its methods may be called by
// many goroutines at once; a Tx that was begun belongs to one, until End.
type Recorder struct {
	// Log, if not nil, gets a line of each transaction before it commits, and
	// one when it has ended, each in one call of Write: where those outlive the
	// process, so does its history.
	Log io.Writer

	clock atomic.Int64
	ops   atomic.Int64

	mu  sync.Mutex
	txs []*Tx
}

// SetClock makes later times be greater than now.
func (r *Recorder) SetClock(now int64) { r.clock.Store(now) }

// Now is the time: greater each time that anybody asks.
func (r *Recorder) Now() int64 { return r.clock.Add(1) }

// Begin notes that a transaction is about to begin.
func (r *Recorder) Begin() *Tx { return &Tx{Begin: r.Now()} }

// Commits notes that a transaction is about to commit.
func (r *Recorder) Commits(t *Tx) { r.log(t) }

// End notes that a transaction has ended.
func (r *Recorder) End(t *Tx, outcome Outcome) {
	if t.Outcome = outcome; outcome != Unknown {
		t.End = r.Now()
	}
	r.ops.Add(int64(len(t.Ops)))
	r.log(t)
	r.mu.Lock()
	r.txs = append(r.txs, t)
	r.mu.Unlock()
}

func (r *Recorder) log(t *Tx) {
	if r.Log != nil {
		// A line that is missing makes a transaction unknown, or unheard of.
		_, _ = io.WriteString(r.Log, t.String()+"\n")
	}
}

// Settle notes that from now on the unknown transactions that have ended
// so far have happened or never will: the database was opened anew.
func (r *Recorder) Settle() {
	r.mu.Lock()
	now := r.Now()
	for _, t := range r.txs {
		if t.End == 0 {
			t.End = now
		}
	}
	r.mu.Unlock()
}

// Ops is how many operations there are.
func (r *Recorder) Ops() int64 { return r.ops.Load() }

// Take returns the transactions, and forgets them.
func (r *Recorder) Take() []*Tx {
	r.mu.Lock()
	txs := r.txs
	r.txs = nil
	r.ops.Store(0)
	r.mu.Unlock()
	return txs
}
