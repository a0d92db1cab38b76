package history

import "fmt"

// Kind is a kind of anomaly. The later ones are those that weaker levels of
// isolation allow.
type Kind uint8

const (
	// What no order of transactions explains.

	Garbage           Kind = iota // a number that nobody appended
	Duplicate                     // a number twice in a list
	IncompatibleOrder             // two reads of a list, neither of which goes on from the other
	Internal                      // a transaction that does not see what it has read or written itself
	G1a                           // a read of what an aborted transaction wrote
	G1b                           // a read of what was not the last write of its transaction
	LostUpdate                    // two transactions replaced the same version

	// Cycles, by the edges that they are made of: ww, what replaced which
	// version, wr, who read which, and rw, who read what which write replaced.

	G0           // only ww
	G1c          // ww and wr
	GSingle      // one rw
	GNonadjacent // several rw, but no two in a row
	G2Item       // two rw in a row: write skew, which snapshot isolation allows

	kinds
)

var kindNames = [kinds]string{
	"garbage", "duplicate", "incompatible order", "internal", "G1a", "G1b", "lost update",
	"G0", "G1c", "G-single", "G-nonadjacent", "G2-item",
}

// Anomaly is one thing that must not be.
type Anomaly struct {
	Kind Kind
	// Text begins with the name, with -realtime when it takes that a transaction
	// comes after those that had ended when it began, and tells the transactions,
	// of a cycle each with the edge to the next and its list.
	Text string
}

// Report is what a check found.
type Report struct {
	Txs, Ops  int
	Anomalies []Anomaly // the first few
}

// kept is how many anomalies of a history are told.
const kept = 100

// found reports an anomaly of edges, the last first.
func (c *checker) found(kind Kind, time bool, edges ...edge) {
	if len(c.Anomalies) == kept {
		return
	}
	text := kindNames[kind]
	if time {
		text += "-realtime"
	}
	text += ":"
	for i := len(edges) - 1; i >= 0; i-- {
		e := &edges[i]
		if e.from >= 0 && int(e.from) < len(c.txs) { // no moment
			text += fmt.Sprintf("\n  T%d: %s; %s %d", e.from, c.txs[e.from], edgeNames[e.kind], e.key)
		}
	}
	c.Anomalies = append(c.Anomalies, Anomaly{kind, text})
}

// inList reports an anomaly of a list and two transactions.
func (c *checker) inList(kind Kind, l *list, a, b int32) {
	c.found(kind, false, edge{from: b, key: l.key}, edge{from: a, key: l.key})
}

// Level is what a level of isolation forbids: the kinds before it.
type Level Kind

const (
	SnapshotIsolation = Level(G2Item)
	Serializable      = Level(kinds)
)

// Err is nil when there is nothing that the level forbids, and else tells the
// worst of it.
func (r *Report) Err(level Level) error {
	worst := Anomaly{Kind: Kind(level)}
	for _, a := range r.Anomalies {
		if a.Kind < worst.Kind {
			worst = a
		}
	}
	if worst.Text == "" {
		return nil
	}
	return fmt.Errorf("%d transactions, %d anomalies, as %s", r.Txs, len(r.Anomalies), worst.Text)
}
