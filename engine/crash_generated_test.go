package engine_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/figure"
)

// Scenarios that nobody thought of: each is drawn from a seed, and is the same
// in every run. Few run each time; a larger scale multiplies them.

// generatedAlways is how many run at the usual scale; each unit of scale above
// it adds as many as there are scenarios written by hand, about as long.
const generatedAlways = 4

// allScenarios are those written by hand and the generated ones.
func allScenarios() []scenario {
	n := generatedAlways + int((figure.Scale()-1)*float64(len(scenarios)))
	all := scenarios[:len(scenarios):len(scenarios)]
	for seed := range max(n, generatedAlways) {
		all = append(all, generateScenario(uint64(seed)))
	}
	return all
}

// generateScenario draws options, what is there before, and some steps.
func generateScenario(seed uint64) scenario {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x5CE7A210)), spaces: []string{""}}
	sc := scenario{name: fmt.Sprint("seed ", seed), opts: engine.Options{
		Sync:          []engine.SyncMode{engine.SyncFull, engine.SyncFull, engine.SyncNormal, engine.SyncOff}[g.rng.IntN(4)],
		CacheBytes:    []int64{1, 64 << 10, 1 << 20}[g.rng.IntN(3)],
		MemtableBytes: []int64{2 << 10, 4 << 10, 64 << 10, 1 << 20}[g.rng.IntN(4)],
		SegmentBytes:  []int64{8 << 10, 32 << 10}[g.rng.IntN(2)],
		PageSize:      []int{1 << 10, 1 << 10, 4 << 10, 16 << 10}[g.rng.IntN(4)],
		Compression:   engine.Compression(g.rng.IntN(3)),
	}}
	if g.rng.IntN(6) > 0 {
		sc.setup = all(g.steps(1 + g.rng.IntN(4)))
		sc.unclean = g.rng.IntN(2) == 0
	}
	play := all(g.steps(3 + g.rng.IntN(6)))
	last := g.rng.IntN(2) == 0
	sc.play = func(s *session) {
		s.open()
		play(s)
		if last {
			s.close()
		}
	}
	return sc
}

// generator draws steps. All that is random is drawn beforehand, so that a
// scenario whose calls fail makes the same steps as one whose calls do not.
type generator struct {
	rng    *rand.Rand
	spaces []string // keyspaces that are there, as far as nothing fails
	drawn  int
}

func all(steps []func(*session)) func(*session) {
	return func(s *session) {
		for _, step := range steps {
			step(s)
		}
	}
}

func (g *generator) steps(n int) []func(*session) {
	var steps []func(*session)
	for range n {
		steps = append(steps, g.step())
	}
	return steps
}

func (g *generator) step() func(*session) {
	switch p := g.rng.IntN(100); {
	case p < 25:
		edits := g.edits(1)
		return func(s *session) { s.apply(edits...) }
	case p < 45:
		edits := g.edits(1 + g.rng.IntN(40))
		return func(s *session) { s.apply(edits...) }
	case p < 55:
		edits := apart(g.edits(1 + g.rng.IntN(20)))
		return func(s *session) { s.update(edits) }
	case p < 62:
		n, size := 1+g.rng.IntN(6), g.rng.IntN(900)
		prefix := fmt.Sprint("f", g.rng.IntN(4))
		return func(s *session) { s.fill(prefix, n, size) }
	case p < 75:
		return (*session).checkpoint
	case p < 79:
		return (*session).compact
	case p < 83:
		return (*session).sync
	case p < 88:
		return (*session).reopen
	case p < 91:
		d := time.Duration(150+g.rng.IntN(2000)) * time.Millisecond
		return func(s *session) { s.pass(d) }
	case p < 94:
		return func(s *session) {
			s.step("backup", func() error {
				_, err := s.db.Backup(context.Background(), io.Discard, nil)
				return err
			})
		}
	case p < 98 || len(g.spaces) == 1:
		g.drawn++
		name := fmt.Sprint("space ", g.drawn)
		g.spaces = append(g.spaces, name)
		o := &engine.KeyspaceOptions{PageSize: 1 << (10 + g.rng.IntN(5)), Compression: engine.Compression(g.rng.IntN(3))}
		return func(s *session) { s.create(name, o) }
	default:
		i := 1 + g.rng.IntN(len(g.spaces)-1)
		name := g.spaces[i]
		g.spaces = append(g.spaces[:i:i], g.spaces[i+1:]...)
		return func(s *session) { s.drop(name) }
	}
}

// edits are mostly puts of few keys, so that they meet, and now and then of a
// value of its own extent.
func (g *generator) edits(n int) []edit {
	var edits []edit
	for range n {
		key := keyOf("k", g.rng.IntN(80))
		var e edit
		switch p := g.rng.IntN(40); {
		case p < 8:
			e = del(key)
		case p < 10:
			from := g.rng.IntN(80) // an empty range would be no operation
			e = delRange(keyOf("k", from), keyOf("k", from+1+g.rng.IntN(20)))
			e.unbounded = g.rng.IntN(10) == 0
		case p < 12:
			e = put(key, valueOf("v", g.rng.IntN(1000), g.rng.IntN(7000)))
		case p < 20:
			e = put(key, strings.Repeat(fmt.Sprint("text ", g.rng.IntN(100)), g.rng.IntN(30)))
		default:
			e = put(key, valueOf("v", g.rng.IntN(1000), g.rng.IntN(120)))
		}
		edits = append(edits, e.in(g.spaces[g.rng.IntN(len(g.spaces))]))
	}
	return edits
}

// apart leaves of the edits those that a transaction makes no other ones of: one
// of each key, and no ranges.
func apart(edits []edit) []edit {
	var list []edit
	for _, e := range edits {
		if e.kind != engine.OpDeleteRange && !slices.ContainsFunc(list, func(o edit) bool { return o.key == e.key && o.keyspace == e.keyspace }) {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		list = []edit{put("apart", "1")}
	}
	return list
}
