package crash

import (
	"runtime"
	"strings"
	"sync"

	"github.com/lightning-db/lightning/engine/vfs/faultfs"
)

// turns let whoever changes something in a file system wait for a turn: until
// all others of the same database wait, too, for a turn or for one another. Then
// the one whose operation is the first in the order of their texts has it. So a
// database's own goroutines write in the same order in every run, and a state
// can be met again by its number.
type turns struct {
	family map[string]bool // the numbers of the goroutines that belong to it

	mu      sync.Mutex
	waiting []waiter
	polled  bool // one of those that wait looks at what the others do
}

type waiter struct {
	op   string
	wake chan bool // true: it is its turn; false: it shall look
}

// takeTurns returns turns for the goroutine that calls it and all that begin in
// it.
func takeTurns() *turns {
	first, _, _ := strings.Cut(dump(), "\n\n")
	return &turns{family: map[string]bool{number(first): true}}
}

// before is a faultfs.Sim's Before.
func (t *turns) before(op faultfs.Op) bool {
	t.wait(op.String())
	return false
}

// settle returns when all others have nothing to do.
func (t *turns) settle() { t.wait("~") }

func (t *turns) wait(op string) {
	me := waiter{op, make(chan bool, 1)}
	t.mu.Lock()
	t.waiting = append(t.waiting, me)
	look := !t.polled
	t.polled = true
	t.mu.Unlock()
	if !look && <-me.wake {
		return
	}
	for {
		for !t.idle(dump()) {
			runtime.Gosched()
		}
		t.mu.Lock()
		first := 0
		for i := range t.waiting {
			if t.waiting[i].op < t.waiting[first].op {
				first = i
			}
		}
		next := t.waiting[first]
		t.waiting = append(t.waiting[:first], t.waiting[first+1:]...)
		mine := next.wake == me.wake
		if mine {
			t.polled = len(t.waiting) > 0
			if t.polled {
				t.waiting[0].wake <- false
			}
		} else {
			next.wake <- true
		}
		t.mu.Unlock()
		if mine {
			return
		}
	}
}

// dump tells what all goroutines do at one moment; the first is the caller.
func dump() string {
	for size := 32 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return string(buf[:n])
		}
	}
}

// idle reports whether all of the family wait but the caller.
func (t *turns) idle(dump string) bool {
	all := strings.Split(dump, "\n\n")
	for grown := true; grown; {
		grown = false
		for _, g := range all {
			_, parent, _ := strings.Cut(g, " in goroutine ")
			parent, _, _ = strings.Cut(parent, "\n")
			if id := number(g); t.family[parent] && !t.family[id] {
				t.family[id], grown = true, true
			}
		}
	}
	for _, g := range all[1:] {
		_, doing, _ := strings.Cut(g, "[")
		// Who waits for the garbage collector, or sleeps, is not idle.
		waits := strings.HasPrefix(doing, "select") || strings.HasPrefix(doing, "chan ") || strings.HasPrefix(doing, "sync.")
		if t.family[number(g)] && !waits {
			return false
		}
	}
	return true
}

// number is that of a goroutine in a dump.
func number(g string) string {
	g, _, _ = strings.Cut(strings.TrimPrefix(g, "goroutine "), " ")
	return g
}
