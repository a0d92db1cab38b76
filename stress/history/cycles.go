package history

// edge says that a transaction came before another, because of a list.
type edge struct {
	from, to int32
	next     int32 // edge from the same; 0 is none
	key      uint32
	kind     uint8
}

const (
	ww = 1 << iota
	wr
	rw
	rt
)

var edgeNames = [...]string{"", ww: "ww", wr: "wr", rw: "rw", rt: "rt"}

// graph holds edges, the first not being one.
type graph struct {
	edges []edge
	first []int32 // by node, edge from it
}

// walk is a way through a graph: along edges of the mask and, when apart, never
// along two rw edges in a row. Its places are nodes twice, and 1 where an rw
// edge led to that must be followed by another.
type walk struct {
	*graph
	mask  uint8
	apart bool
	state []uint8 // by place: 1 when on the way, 2 when nothing leads from it to a cycle
}

// step returns where an edge leads from a place: none when it must not be gone.
func (w *walk) step(place int32, e *edge) int32 {
	switch {
	case e.kind&w.mask == 0:
		return none
	case e.kind != rw || !w.apart:
		return e.to << 1
	case place&1 == 1:
		return none
	}
	return e.to<<1 | 1
}

// cycle finds a cycle that can be reached from a place, nil when there is none:
// a search in depth meets a place that it came from, and one in breadth finds
// the shortest way from there back to here.
func (w *walk) cycle(at int32) (cycle []edge) {
	w.state[at] = 1
	for i := w.first[at>>1]; i != 0 && cycle == nil; i = w.edges[i].next {
		to := w.step(at, &w.edges[i])
		switch {
		case to == none || w.state[to] == 2:
		case w.state[to] == 1:
			return w.path(to, at, &w.edges[i])
		default:
			cycle = w.cycle(to)
		}
	}
	w.state[at] = 2
	return cycle
}

// path finds the shortest way from a place to one from which an edge leads
// back: the edges of that cycle, the last first.
func (w *walk) path(from, to int32, back *edge) []edge {
	path, met := more(nil, *back), make([]bool, len(w.state))
	hops := more(nil, edge{to: from}) // from: a hop before, to: a place, next: the edge between
	for i := int32(0); ; i++ {
		at := hops[i].to
		if at == to {
			for ; i > 0; i = hops[i].from {
				path = more(path, w.edges[hops[i].next])
			}
			return path
		}
		for e := w.first[at>>1]; e != 0; e = w.edges[e].next {
			if next := w.step(at, &w.edges[e]); next != none && !met[next] {
				met[next] = true
				hops = more(hops, edge{from: i, to: next, next: e})
			}
		}
	}
}

// more is append, once in the program, which is smaller by that.
func more(list []edge, e edge) []edge { return append(list, e) }

// cycles reports the worst cycle of the graph, and a worse one, if there is,
// that real time makes.
func (c *checker) cycles() {
	best := 4
	for time := uint8(0); time <= rt; time += rt {
		for level := range best {
			w := walk{&c.graph, [...]uint8{ww, ww | wr, ww | wr | rw, ww | wr | rw}[level] | time, level == 2, make([]uint8, 2*len(c.first))}
			var cycle []edge
			for at := 2*c.nodes - 1; at >= 0 && cycle == nil; at-- { // from the end, which is not deep
				if w.state[at] == 0 {
					cycle = w.cycle(at)
				}
			}
			if cycle != nil {
				c.found(classify(cycle), time != 0, cycle...)
				best = level
				break
			}
		}
	}
}

// classify names a cycle.
func classify(cycle []edge) Kind {
	before := cycle[len(cycle)-1].kind
	kinds, count, row := uint8(0), 0, false
	for i := range cycle {
		kind := cycle[i].kind
		kinds |= kind
		if kind == rw {
			count++
			row = row || before == rw
		}
		before = kind
	}
	switch {
	case count == 1:
		return GSingle
	case row:
		return G2Item
	case count > 1:
		return GNonadjacent
	case kinds&wr != 0:
		return G1c
	}
	return G0
}
