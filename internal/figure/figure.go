// Package figure is what tests and make torture say to one another: how much a
// test is to do, and how much it did.
//
// A test that can do more than go test has time for asks Times, and logs what
// it came to by Log. internal/torture sets the scale, and reads the figures.
package figure

import (
	"fmt"
	"os"
	"strconv"
)

// Variable is the environment variable that holds the scale.
const Variable = "LIGHTNING_TEST_SCALE"

// Scale is how many times the usual a test is to do: 1, unless Variable says
// otherwise. It panics on what is no positive number.
func Scale() float64 {
	text := os.Getenv(Variable)
	if text == "" {
		return 1
	}
	scale, err := strconv.ParseFloat(text, 64)
	if err != nil || !(scale > 0) {
		panic(fmt.Sprintf("%s=%s: want a positive number", Variable, text))
	}
	return scale
}

// Times returns n times the scale, and at least 1.
func Times(n int) int { return max(1, int(float64(n)*Scale()+0.5)) }

// Env is the scale as the beginning of a line for a shell that repeats a test:
// nothing where it is 1.
func Env() string {
	if Scale() == 1 {
		return ""
	}
	return Variable + "=" + os.Getenv(Variable) + " "
}

// Mark stands in front of a figure, a name and a number joined by "=", in what
// a test prints.
const Mark = "figure: "

// Log prints a figure of a test. Figures of one name are added up over all that
// one run of go test prints.
func Log(t interface {
	Helper()
	Logf(format string, args ...any)
}, name string, n int,
) {
	t.Helper()
	t.Logf("%s%s=%d", Mark, name, n)
}
