package history_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/figure"
	"github.com/lightning-db/lightning/stress/history"
)

// lists is a state of the model: few lists, as strings, for comparison.
type lists [6]string

func text(list []uint32) string {
	b := make([]rune, len(list))
	for i, n := range list {
		b[i] = rune(n % 0xd800) // a number for a character, the same for the same
	}
	return string(b)
}

// model is a database whose operations are whole transactions.
var model = porcupine.Model{
	Init: func() any { return lists{} },
	Step: func(state, input, _ any) (bool, any) {
		s, in := state.(lists), input.(transaction)
		for _, op := range in.Ops {
			if op.Append {
				s[op.Key] += text(op.List)
			} else if s[op.Key] != text(op.List) {
				return false, state
			}
		}
		if !in.happened {
			return true, state
		}
		return true, s
	},
}

// transaction is an operation for Porcupine. One that did not happen only reads.
type transaction struct {
	*history.Tx
	happened bool
}

// linearizable asks Porcupine, an independent checker, whether transactions are
// strictly serializable. An unknown one that nobody saw need not have happened.
func linearizable(txs []*history.Tx) porcupine.CheckResult {
	wrote, seen := map[[2]uint32]*history.Tx{}, map[*history.Tx]bool{}
	for _, t := range txs {
		for _, op := range t.Ops {
			if op.Append {
				wrote[[2]uint32{op.Key, op.List[0]}] = t
			}
		}
	}
	for _, t := range txs {
		for _, op := range t.Ops {
			for _, n := range op.List {
				if w := wrote[[2]uint32{op.Key, n}]; w != t { // its own read proves no commit
					seen[w] = true
				}
			}
		}
	}
	var ops []porcupine.Operation
	for id, t := range txs {
		happened := t.Outcome == history.Committed || t.Outcome == history.Unknown && seen[t]
		end := t.End
		if end == 0 {
			end = math.MaxInt64
		}
		ops = append(ops, porcupine.Operation{ClientId: id, Input: transaction{t, happened}, Call: t.Begin, Return: end})
	}
	return porcupine.CheckOperationsTimeout(model, ops, time.Minute)
}

// The two checkers agree on every history that is written here by hand.
func TestCheck_AgreesWithPorcupine(t *testing.T) {
	for _, c := range histories {
		want := porcupine.Illegal
		if c.want == "" {
			want = porcupine.Ok
		}
		if have := linearizable(parse(t, c.text)); have != want {
			t.Errorf("%s: Porcupine says %s, want %s", c.name, have, want)
		}
	}
}

// The two agree on histories that are drawn, of which about half are made wrong
// somewhere: of whole transactions, and of one list, of which CheckLists says
// what Porcupine does.
func TestCheck_AgreesWithPorcupineOnDrawnHistories(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	legal, illegal := 0, 0
	for i := range figure.Times(3000) {
		keys := 1 + i%3
		txs := draw(rng, keys)
		want := linearizable(txs)
		if want == porcupine.Ok {
			legal++
		} else {
			illegal++
		}
		checks := map[string]error{"CheckAll": history.CheckAll(txs)}
		if keys == 1 {
			checks["CheckLists"] = history.CheckLists(txs)
		}
		for name, err := range checks {
			if (err == nil) != (want == porcupine.Ok) {
				t.Fatalf("history %d: Porcupine says %s, %s %v:\n%s", i, want, name, err, txs)
			}
		}
	}
	if n := legal + illegal; n >= 1000 && min(legal, illegal) < n/10 {
		t.Errorf("%d are legal, %d are not", legal, illegal)
	}
	figure.Log(t, "drawn histories", legal+illegal)
}

// draw makes a history: transactions happen one after the other, each at a
// moment between its times, and then perhaps something is changed.
func draw(rng *rand.Rand, keys int) []*history.Tx {
	now := map[uint32][]uint32{}
	var txs []*history.Tx
	number := uint32(0)
	for i := range int64(2 + rng.IntN(7)) {
		tx := &history.Tx{Begin: 2 * (100*i - rng.Int64N(300)), End: 2*(100*i+rng.Int64N(300)) + 1, Outcome: history.Committed}
		if rng.IntN(4) == 0 {
			tx.Outcome = history.Unknown
		}
		happens := tx.Outcome == history.Committed || rng.IntN(2) == 0
		var wrote []uint32
		for range 1 + rng.IntN(3) {
			key := uint32(rng.IntN(keys))
			if rng.IntN(2) == 0 {
				tx.Read(key, now[key])
				continue
			}
			number++
			tx.Append(key, number)
			wrote = append(wrote, key)
			now[key] = append(now[key][:len(now[key]):len(now[key])], number)
		}
		if !happens {
			for _, key := range wrote {
				now[key] = now[key][:len(now[key])-1]
			}
		}
		txs = append(txs, tx)
	}
	switch tx := txs[rng.IntN(len(txs))]; rng.IntN(3) {
	case 0: // as if it were elsewhere
		tx.Begin += 800
		tx.End += 800
	case 1:
		for i := range tx.Ops { // an older version, or half of one
			if op := &tx.Ops[i]; !op.Append && len(op.List) > 0 {
				op.List = op.List[:rng.IntN(len(op.List))]
			}
		}
	case 2:
		for i := range tx.Ops { // the last two changed places
			if op := &tx.Ops[i]; !op.Append && len(op.List) > 1 {
				n := len(op.List)
				op.List = append(append([]uint32{}, op.List[:n-2]...), op.List[n-1], op.List[n-2])
			}
		}
	}
	return txs
}

func TestEngine_Porcupine(t *testing.T) {
	for name, o := range map[string]engine.Options{
		"normal": {Sync: engine.SyncNormal},
		"full":   {Sync: engine.SyncFull, FS: vfs.NewMem()},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := engine.Open(place(t, &o), &o)
			check(t, err)
			defer db.Close()
			seeds := uint64(figure.Times(5))
			if testing.Short() {
				seeds = 2
			}
			for seed := range seeds {
				w := newWorkload()
				w.Lists, w.Length = 4, 1<<20
				var txs []*history.Tx
				w.Judge = func(list []*history.Tx) error { txs = list; return nil }
				w.Use(db)
				check(t, w.Fill(context.Background()))
				check(t, work(w, 8, seed, 2000))
				check(t, w.Check(db))
				rebase(txs)
				if have := linearizable(txs); have != porcupine.Ok {
					t.Fatalf("seed %d: Porcupine says %s; Check: %v", seed, have, history.CheckAll(txs))
				}
			}
		})
	}
}

// rebase numbers lists from 0, and forgets reads of those that are always empty.
func rebase(txs []*history.Tx) {
	first := uint32(math.MaxUint32)
	for _, t := range txs {
		for _, op := range t.Ops {
			first = min(first, op.Key)
		}
	}
	for _, t := range txs {
		var ops []history.Op
		for _, op := range t.Ops {
			if op.Key -= first; op.Key < uint32(len(lists{})) {
				ops = append(ops, op)
			}
		}
		t.Ops = ops
	}
}
