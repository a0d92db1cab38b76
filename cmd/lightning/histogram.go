package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/internal/content"
	"github.com/lightning-db/lightning/internal/dump"
)

// printHistogram prints how many keys and values have which size, and below
// that quantiles.
func (a *app) printHistogram(arg string) error {
	format, err := a.format(a.tabular(), columnFormats...)
	if err != nil {
		return err
	}
	var keys, values content.Sizes
	err = a.moment(arg, func(_ *engine.DB, spaces []space) error {
		for _, s := range spaces {
			_, err := (&where{app: a}).each(s.entries, nil, nil, false, func(it *engine.Iterator, _ []byte) error {
				keys.Add(len(it.Key()))
				values.Add(it.ValueSize())
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	names := []string{"size", "keys", "values"}
	t, tableErr := a.newTable(format, names, names)
	if tableErr != nil {
		return tableErr
	}
	row := func(size string, keys, values int64) {
		t.cells[0] = []byte(size)
		if t.asJSON() {
			t.cells[0] = dump.AppendJSONString(nil, t.cells[0])
		}
		t.number(1, keys, false)
		t.number(2, values, false)
		tableErr = errors.Join(tableErr, t.row())
	}
	for digits := range max(keys.Digits(), values.Digits()) + 1 {
		k, v := keys.Span(digits), values.Span(digits)
		size := strconv.FormatInt(k.From, 10)
		if k.From != k.To {
			size += "-" + strconv.FormatInt(k.To, 10)
		}
		if k.Count+v.Count > 0 {
			row(size, k.Count, v.Count)
		}
	}
	for _, q := range []int64{50, 90, 99} {
		row("p"+strconv.FormatInt(q, 10), keys.Quantile(q), values.Quantile(q))
	}
	row("max", keys.Max, values.Max)
	return errors.Join(tableErr, t.Close(), partly(err, keys.Count))
}
