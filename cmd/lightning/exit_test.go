package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/lightning-db/lightning/internal/ui"
)

// A panicker panics once.
type panicker struct{ done bool }

func (p *panicker) Write(b []byte) (int, error) {
	if !p.done {
		p.done = true
		panic("no paper")
	}
	return len(b), nil
}

// TestRun_TellsWhereAPanicWas, and in which program.
func TestRun_TellsWhereAPanicWas(t *testing.T) {
	trace := `lightning \S+ go\S+ \w+/\w+.*\ngoroutine (?s:.*)\(\*panicker\)\.Write\(.*\n.* \+0x[0-9a-f]+\n`
	var complaint bytes.Buffer
	status := run([]string{"version"}, &ui.Streams{Out: &panicker{}, Err: &complaint})
	want := regexp.MustCompile(`^lightning: internal error: no paper; this is a bug: please report it\n` + trace)
	if status != exitInternal || !want.Match(complaint.Bytes()) {
		t.Errorf("status %d, and\n%s", status, complaint.Bytes())
	}

	complaint.Reset()
	status = run([]string{"version", "--json"}, &ui.Streams{Out: &panicker{}, Err: &complaint})
	var line struct {
		Code  int
		Trace string
	}
	err := json.Unmarshal(complaint.Bytes(), &line)
	if err != nil || status != exitInternal || line.Code != status || !regexp.MustCompile(`^`+trace).MatchString(line.Trace) {
		t.Errorf("status %d, %v, and\n%s", status, err, complaint.Bytes())
	}
}
