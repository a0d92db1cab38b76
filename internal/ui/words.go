package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes says a size in units that people read: 512 B, 1.2 MB. A kB is 1,000
// bytes.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), -1
	for f >= 999.95 && unit < 4 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTP"[unit])
}

// Count says a number with commas: 171,075.
func Count[N int | int64 | uint64](n N) string { return count(int64(n)) }

func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural says a number of things: 1 record, 2 records, 3 entries.
func Plural[N int | int64 | uint64](n N, one string) string { return plural(int64(n), one) }

func plural(n int64, one string) string {
	many := one + "s"
	switch {
	case n == 1:
		many = one
	case strings.HasSuffix(one, "h"): // match, crash
		many = one + "es"
	case one[len(one)-1] == 'y' && !strings.HasSuffix(one, "key"):
		many = one[:len(one)-1] + "ies"
	}
	return count(n) + " " + many
}

// Duration says a time with as many digits as mean something.
func Duration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
