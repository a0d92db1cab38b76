package ui

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// A State is how far a piece of work is.
type State struct {
	Done  int64 // bytes worked through, of which the rate is shown
	Total int64 // of how many; 0 where that is not known
	// Text is what a person reads, JSON what a program does: one object,
	// without a newline.
	Text, JSON string
}

// A Progress shows how far a piece of work is, on standard error: on a
// terminal as one line that is drawn over, as JSON one object a second and a
// last one, anywhere else, and on a terminal that cannot (TERM=dumb), not at all.
type Progress struct {
	s     *Streams
	state func() State
	json  bool
	start time.Time

	before int64 // done at the time since, of the line that was shown first
	since  time.Time

	stop chan struct{}
	done sync.WaitGroup
}

// StartProgress shows what state returns until Stop. The mode is auto, json or
// none. state is called from another goroutine.
func (s *Streams) StartProgress(mode string, state func() State) (*Progress, error) {
	p := &Progress{s: s, state: state, json: mode == "json", start: time.Now(), stop: make(chan struct{})}
	interval := time.Second
	switch mode {
	case "json":
	case "auto", "none":
		if mode == "none" || !s.ErrTerminal || s.Quiet || os.Getenv("TERM") == "dumb" {
			return p, nil
		}
		interval = 200 * time.Millisecond
	default:
		return nil, fmt.Errorf("unknown progress mode %q: use auto, json or none", mode)
	}
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	}()
	return p, nil
}

// Elapsed is the time since the start.
func (p *Progress) Elapsed() time.Duration { return time.Since(p.start) }

// Stop ends the display: the line is cleared, or the last object printed.
func (p *Progress) Stop() {
	close(p.stop)
	p.done.Wait()
	if p.json {
		p.show()
	} else {
		p.s.Aside(func() {})
	}
}

func (p *Progress) show() {
	st := p.state()
	if p.json {
		fmt.Fprintln(p.s.Err, st.JSON)
		return
	}
	line := st.Text
	if st.Total > 0 && st.Done <= st.Total {
		line = fmt.Sprintf("%3.0f%%  %s", 100*float64(st.Done)/float64(st.Total), line)
	}
	if p.before == 0 { // what verify --resume goes on from took no time now
		p.before, p.since = st.Done, time.Now()
	}
	if rate := float64(st.Done-p.before) / time.Since(p.since).Seconds(); rate > 0 {
		line += "  " + Bytes(int64(rate)) + "/s"
		if left := float64(st.Total-st.Done) / rate; left > 0 && left < 1e9 {
			line += "  " + Duration(time.Duration(left)*time.Second) + " left"
		}
	}
	// A line that fills the last column could make the terminal begin another.
	if most := widthOf(p.s.Err, true) - 1; most > 0 {
		line = Cut(line, most)
	}
	p.s.lineMu.Lock()
	defer p.s.lineMu.Unlock()
	width := CellWidth(line)
	fmt.Fprintf(p.s.Err, "\r%s%s", line, strings.Repeat(" ", max(0, p.s.drawn-width)))
	p.s.drawn = width
}
