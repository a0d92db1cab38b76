package figure_test

import (
	"fmt"
	"testing"

	"github.com/lightning-db/lightning/internal/figure"
)

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		scale string
		want  int
		env   string
	}{{"", 36, ""}, {"1", 36, ""}, {"2.5", 90, "LIGHTNING_TEST_SCALE=2.5 "}, {"0.001", 1, "LIGHTNING_TEST_SCALE=0.001 "}} {
		t.Setenv(figure.Variable, c.scale)
		if n, env := figure.Times(36), figure.Env(); n != c.want || env != c.env {
			t.Errorf("scale %q: have %d and %q, want %d and %q", c.scale, n, env, c.want, c.env)
		}
	}
	for _, bad := range []string{"0", "-1", "much", "NaN"} {
		t.Setenv(figure.Variable, bad)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("scale %q is taken", bad)
				}
			}()
			figure.Scale()
		}()
	}
}

type lines []string

func (*lines) Helper() {}

func (l *lines) Logf(format string, args ...any) { *l = append(*l, fmt.Sprintf(format, args...)) }

func TestLog(t *testing.T) {
	var l lines
	figure.Log(&l, "states", 25092)
	if len(l) != 1 || l[0] != "figure: states=25092" {
		t.Errorf("have %q", l)
	}
}
