package history

import "sort"

// Check infers from a history who came before whom, and reports what no order
// of its transactions explains. It takes about a second and 100 MB for a
// million operations, where lists are short: it looks numbers up one by one.
func Check(txs []*Tx) *Report {
	n := len(txs)
	c := &checker{txs: txs, nodes: int32(n), happened: make([]bool, n), Report: &Report{Txs: n}}
	c.edges, c.first = make([]edge, 1), make([]int32, 2*n+1)
	for i, t := range txs {
		c.happened[i] = t.Outcome == Committed
		c.Ops += len(t.Ops)
	}
	lists := group(txs)
	for _, l := range lists {
		c.infer(l)
	}
	for _, l := range lists {
		c.depend(l)
	}
	c.realTime()
	c.cycles()
	return c.Report
}

// CheckAll checks that a history is strictly serializable.
func CheckAll(txs []*Tx) error { return Check(txs).Err(Serializable) }

// CheckLists checks that each list by itself is linearizable, where what a
// transaction did to it is one operation: what Porcupine would be asked, with a
// key as its partition. A list tells its order, so no search is needed.
func CheckLists(txs []*Tx) error {
	for _, l := range group(txs) {
		var part []*Tx
		for _, i := range l.txs {
			t := *txs[i]
			t.Ops = nil
			for _, op := range txs[i].Ops {
				if op.Key == l.key {
					t.add(op)
				}
			}
			part = append(part, &t)
		}
		if err := CheckAll(part); err != nil {
			return err
		}
	}
	return nil
}

type checker struct {
	*Report
	txs      []*Tx
	happened []bool // committed, or unknown and seen
	nodes    int32  // the transactions, and behind them moments: see realTime
	graph
}

func (c *checker) edge(from, to int32, key uint32, kind uint8) {
	if from != to && from != none && to != none {
		c.edges = more(c.edges, edge{from, to, c.first[from], key, kind})
		c.first[from] = int32(len(c.edges) - 1)
	}
}

// list is what was done to one list.
type list struct {
	key     uint32
	txs     []int32 // that did something to it
	reads   []access
	longest access   // what of its order is known
	writers []access // of longest
}

// access is a read of a list, or who appended a number, none when it cannot have
// been written.
type access struct {
	tx   int32
	more bool     // and then the transaction appended to it, or did so again
	list []uint32 // that was read, before the transaction itself appended
}

const none = -1

// group returns the lists.
func group(txs []*Tx) []*list {
	var lists []*list
	at := map[uint32]*list{}
	for i, t := range txs {
		for o := range t.Ops {
			key := t.Ops[o].Key
			l := at[key]
			if l == nil {
				l = &list{key: key, longest: access{tx: none}}
				at[key] = l
				lists = append(lists, l)
			}
			if n := len(l.txs); n == 0 || l.txs[n-1] != int32(i) {
				l.txs = append(l.txs, int32(i))
			}
		}
	}
	return lists
}

// infer finds the order in which a list was written, and whose unknown
// transactions were seen.
func (c *checker) infer(l *list) {
	for _, tx := range l.txs {
		var now []uint32 // as the transaction must see the list, or, when not known, its end
		own, known, good := 0, false, true
		for _, op := range c.txs[tx].Ops {
			if op.Key != l.key {
				continue
			}
			if op.Append {
				own++
				now = append(now[:len(now):len(now)], op.List[0])
				continue
			}
			before := len(op.List) - len(now)
			if before < 0 || known && before > 0 || !prefix(now, op.List[before:]) {
				good = false
				c.inList(Internal, l, tx, none)
			}
			now, known = op.List, true
		}
		if known && good {
			r := access{tx, own > 0, now[:len(now)-own]}
			l.reads = join(l.reads, r)
			if len(r.list) > len(l.longest.list) {
				l.longest = r
			}
		}
	}
	l.writers = c.writersOf(l, &l.longest)
	for i := range l.reads {
		r := &l.reads[i]
		if !prefix(r.list, l.longest.list) {
			c.writersOf(l, r)
			c.inList(IncompatibleOrder, l, l.longest.tx, r.tx)
			r.tx = none
		} else if n := len(r.list); n > 0 && l.writers[n-1].more {
			c.inList(G1b, l, l.writers[n-1].tx, r.tx)
		}
	}
}

// writersOf returns who appended the numbers of a read.
func (c *checker) writersOf(l *list, r *access) (writers []access) {
	for i, n := range r.list {
		w := access{tx: none}
		for _, tx := range l.txs {
			for _, op := range c.txs[tx].Ops {
				switch {
				case op.Key != l.key || !op.Append:
				case op.List[0] == n:
					w.tx, w.more = tx, false
				case tx == w.tx:
					w.more = true
				}
			}
		}
		kind := Garbage
		switch {
		case w.tx == none:
		case contains(r.list[:i], n):
			kind = Duplicate
		case c.txs[w.tx].Outcome == Aborted:
			kind = G1a
		default:
			kind = kinds
			c.happened[w.tx] = true
		}
		if kind != kinds {
			c.inList(kind, l, w.tx, r.tx)
			w = access{tx: none}
		}
		writers = join(writers, w)
	}
	return writers
}

// depend makes the edges of a list. Whoever appended what is not in the longest
// read comes after all who are: had it come before, that would show it.
func (c *checker) depend(l *list) {
	last := int32(none)
	for _, w := range l.writers {
		c.edge(last, w.tx, l.key, ww)
		last = w.tx
	}
	var unseen []access
	for _, tx := range l.txs {
		for _, op := range c.txs[tx].Ops {
			if op.Key == l.key && op.Append && c.happened[tx] && !contains(l.longest.list, op.List[0]) {
				unseen = join(unseen, access{tx: tx})
				c.edge(last, tx, l.key, ww)
			}
		}
	}
	updated := make([]int32, len(l.writers)+1) // by version, who appended to it, and 1
	for i := range l.reads {
		r := &l.reads[i]
		if r.tx == none {
			continue
		}
		version := len(r.list)
		if version > 0 {
			c.edge(l.writers[version-1].tx, r.tx, l.key, wr)
		}
		after := unseen
		if version < len(l.writers) {
			after = l.writers[version : version+1]
		}
		for _, w := range after {
			c.edge(r.tx, w.tx, l.key, rw)
		}
		if r.more && c.happened[r.tx] {
			if updated[version] != 0 {
				c.inList(LostUpdate, l, updated[version]-1, r.tx)
			}
			updated[version] = r.tx + 1
		}
	}
}

// realTime makes the edges between those of which one began when the other had
// ended. There would be too many: all that end go to a moment, moments to later
// ones, and from the last moment before it an edge goes to each that begins.
func (c *checker) realTime() {
	events := make([]int32, 2*len(c.txs)) // beginnings, and ends as their complement
	for i := range c.txs {
		events[2*i], events[2*i+1] = int32(i), ^int32(i)
	}
	at := func(event int32) int64 {
		if event < 0 {
			return c.txs[^event].End
		}
		return c.txs[event].Begin
	}
	sort.Slice(events, func(i, j int) bool { return at(events[i]) < at(events[j]) })
	last, next := int32(none), int32(none) // moments: of those that begin, and of those that end
	for _, e := range events {
		switch {
		case e >= 0:
			last = next
			c.edge(last, e, 0, rt)
		case at(e) != 0:
			if next == last {
				next = c.nodes
				c.nodes++
				c.edge(last, next, 0, rt)
			}
			c.edge(^e, next, 0, rt)
		}
	}
}

// join is append, once in the program, which is smaller by that.
func join(list []access, a access) []access { return append(list, a) }

func prefix(a, b []uint32) bool {
	if len(a) > len(b) {
		return false
	}
	for i, n := range a {
		if b[i] != n {
			return false
		}
	}
	return true
}

func contains(list []uint32, n uint32) bool {
	for _, m := range list {
		if m == n {
			return true
		}
	}
	return false
}
