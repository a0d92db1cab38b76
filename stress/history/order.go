package history

import (
	"fmt"
	"sort"
)

// CheckOrder checks a history whose order of commits is known, from the
// database itself: Tx.Seq. It replays them, and finds for each transaction a
// moment at which all that it read was so: for one that wrote, that of its
// commit, or, when snapshot, one not later, since which nobody wrote to a list
// that it wrote to. No moment may be before that of a transaction that had
// ended when it began. It takes time in proportion to the operations, and some
// to sort the transactions.
func CheckOrder(txs []*Tx, snapshot bool) error {
	o := &replay{versions: map[uint32]*versions{}}
	order := sorted(txs, func(t *Tx) int64 { return int64(t.Seq) })
	for _, t := range txs {
		switch {
		case t.Seq != 0 && (t.Outcome == Aborted || !t.writes()):
			return fmt.Errorf("the order of commits has one that wrote nothing: %s", t)
		case t.Seq == 0 && t.Outcome == Committed && t.writes():
			return fmt.Errorf("the order of commits lacks %s", t)
		}
	}
	place := make([]int32, len(txs)) // of the commits, from 1; then the moments of all
	for i, t := range order {
		place[t] = int32(i + 1)
		o.apply(txs[t], int32(i+1))
	}
	// In the order of their beginnings: those that had ended have their moments.
	ends, floor := sorted(txs, func(t *Tx) int64 { return t.End }), int32(0)
	for _, t := range sorted(txs, func(t *Tx) int64 { return t.Begin }) {
		for ; len(ends) > 0 && txs[ends[0]].End < txs[t].Begin; ends = ends[1:] {
			floor = max(floor, place[ends[0]])
		}
		low, high, err := o.moments(txs[t], place[t], snapshot)
		if err != nil {
			return err
		}
		if low = max(low, floor); low > high {
			return fmt.Errorf("no moment from commit %d to commit %d shows what it read to %s", low, high, txs[t])
		}
		if place[t] == 0 {
			place[t] = low
		}
	}
	return nil
}

func (t *Tx) writes() bool {
	for i := range t.Ops {
		if t.Ops[i].Append {
			return true
		}
	}
	return false
}

// sorted returns the transactions that have the time, in its order.
func sorted(txs []*Tx, at func(*Tx) int64) []int32 {
	var list []int32
	for i, t := range txs {
		if at(t) != 0 {
			list = append(list, int32(i))
		}
	}
	sort.Slice(list, func(i, j int) bool { return at(txs[list[i]]) < at(txs[list[j]]) })
	return list
}

type replay struct {
	versions map[uint32]*versions
}

// versions are those of a list: all its numbers, and the commits that appended
// them.
type versions struct {
	numbers []uint32
	commits []int32
}

func (o *replay) list(key uint32) *versions {
	v := o.versions[key]
	if v == nil {
		v = &versions{}
		o.versions[key] = v
	}
	return v
}

func (o *replay) apply(t *Tx, commit int32) {
	for i := range t.Ops {
		if op := &t.Ops[i]; op.Append {
			v := o.list(op.Key)
			v.numbers, v.commits = append(v.numbers, op.List[0]), append(v.commits, commit)
		}
	}
}

// moments returns the first and last commit after which a transaction can have
// read what it did; its own is the place, 0 when it has none.
func (o *replay) moments(t *Tx, place int32, snapshot bool) (low, high int32, err error) {
	high = 1<<31 - 1
	if place > 0 {
		high = place - 1
		if !snapshot {
			low = high
		}
	}
	own := map[uint32][]uint32{}
	for i := range t.Ops {
		op := &t.Ops[i]
		if op.Append {
			own[op.Key] = append(own[op.Key], op.List[0])
			continue
		}
		n := len(op.List) - len(own[op.Key])
		v := o.list(op.Key)
		if n < 0 || !prefix(op.List[:n], v.numbers) || !prefix(own[op.Key], op.List[n:]) {
			return 0, 0, fmt.Errorf("list %d was never what it was for %s", op.Key, t)
		}
		if n > 0 {
			low = max(low, v.commits[n-1])
		}
		if n < len(v.commits) && (n == 0 || v.commits[n] != v.commits[n-1]) {
			high = min(high, v.commits[n]-1)
		} else if n < len(v.commits) {
			return 0, 0, fmt.Errorf("list %d is half of a commit for %s", op.Key, t)
		}
		if n < len(v.commits) && place > 0 && t.appendsTo(op.Key) && v.commits[n] != place {
			return 0, 0, fmt.Errorf("commit %d replaced what list %d was for %s", v.commits[n], op.Key, t)
		}
	}
	return low, high, nil
}

func (t *Tx) appendsTo(key uint32) bool {
	for i := range t.Ops {
		if t.Ops[i].Append && t.Ops[i].Key == key {
			return true
		}
	}
	return false
}
