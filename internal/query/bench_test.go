package query_test

import (
	"fmt"
	"testing"

	"github.com/lightning-db/lightning/internal/query"
)

// row is a JSON value of 200 bytes, as they are met: ten fields, text and
// numbers, one object.
func row(i int) []byte {
	cities := []string{"Rome", "Oslo", "Lagos", "Lima"}
	b := fmt.Appendf(nil, `{"id":%d,"name":"Ada Lovelace %d","email":"ada.%d@example.com","age":%d,"city":"%s","active":true,"score":%d.25,"address":{"street":"Main Street %d","zip":"%05d"},"note":"`,
		100000+i, i%10, i%10, i%90, cities[i%4], i%100, i%10, i%100000)
	for len(b) < 198 {
		b = append(b, 'x')
	}
	return append(b, `"}`...)
}

func BenchmarkMatch(b *testing.B) {
	const rows = 1000
	values := make([][]byte, rows)
	total := 0
	for i := range values {
		values[i] = row(i)
		total += len(values[i])
	}
	key := []byte("key")
	for _, expr := range []string{
		`.age > 30 and .city == "Rome"`,
		`.age > 30`,
		`.address.zip == "00042" or .score < 3.5`,
		`.name | startswith("Ada")`,
		`.name | test("^Ada.*[0-4]$")`,
		`.email | test("\\.4@example")`,
		`.note | test("(?i)[a-w]|y+z")`,
		`.note | length > 3`,
		`$key == "a"`,
	} {
		b.Run(expr, func(b *testing.B) {
			f, err := query.Compile(expr)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(total / rows))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := f.Match(key, values[i%rows]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

func BenchmarkSelect(b *testing.B) {
	const rows = 1000
	values := make([][]byte, rows)
	for i := range values {
		values[i] = row(i)
	}
	key := []byte("key")
	s, err := query.CompileSelect(".name, .age, .address.zip")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Run(key, values[i%rows]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
