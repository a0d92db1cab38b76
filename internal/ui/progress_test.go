package ui_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightning-db/lightning/internal/ui"
)

// A line of progress says the rate, and how long the rest takes, by what was done
// since it is shown: 50 MB were there before. Of what has no end it says the rate.
// In the end the line is cleared as far as the terminal has put anything there.
func TestProgress_Rate(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for total, want := range map[int64]string{
		60_000_000: "\r 92%  working  1.0 MB/s  5.0 s left\x1b[2K\r",
		0:          "\rworking  1.0 MB/s\x1b[2K\r",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			begin := time.Now()
			s := &ui.Streams{Err: &out, ErrTerminal: true}
			bar, err := s.StartProgress("auto", func() ui.State {
				return ui.State{Done: 50_000_000 + time.Since(begin).Microseconds(), Total: total, Text: "working"}
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(5*time.Second + time.Millisecond)
			bar.Stop()
			if have := out.String(); !strings.HasSuffix(have, want) {
				t.Errorf("have %q, want %q", have, want)
			}
		})
	}
}
