package pager

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFreeList_DecodeReturnsWhatAppendTook(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 200 {
		var ext []extent
		at := uint64(firstUnit)
		for i := range n {
			gap := r.Uint64N(300)
			if i > 0 {
				gap++
			}
			e := extent{at + gap, 1 + r.Uint64N(1<<(n%40))}
			ext = append(ext, e)
			at = e.end()
		}
		body := append(appendFreeList(nil, ext), make([]byte, n%5)...)
		have, err := decodeFreeList(body, at)
		if err != nil || !slices.Equal(have, ext) {
			t.Fatalf("%d extents: %v\nhave %v\nwant %v", n, err, have, ext)
		}
		if n > 0 {
			if _, err := decodeFreeList(body, at-1); err == nil {
				t.Errorf("%d extents: one past the end accepted", n)
			}
		}
	}
}

func TestFreeList_RefusesWhatBreaksF1(t *testing.T) {
	list := func(v ...uint64) []byte {
		var b []byte
		for _, x := range v {
			b = binary.AppendUvarint(b, x)
		}
		return b
	}
	for name, body := range map[string][]byte{
		"nothing":               {},
		"count without list":    list(1),
		"huge count":            list(1 << 60),
		"missing length":        list(2, 1, 1, 1),
		"empty extent":          list(1, 1, 0),
		"touching extents":      list(2, 1, 1, 0, 1),
		"past the end":          list(1, 1, 1000),
		"gap that overflows":    list(1, 1<<64-1, 1),
		"length that overflows": list(1, 1, 1<<64-1),
		"something behind":      append(list(1, 1, 1), 0, 7),
		"uvarint too long":      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if ext, err := decodeFreeList(body, 1000); err == nil {
			t.Errorf("%s: accepted as %v", name, ext)
		}
	}
}

// Whatever the bytes, decoding gives extents that keep F1, or an error.
func FuzzFreeList(f *testing.F) {
	f.Add(appendFreeList(nil, []extent{{20, 3}, {30, 1}, {40, 500}}), uint64(600))
	f.Add([]byte{0}, uint64(16))
	f.Add([]byte{}, uint64(0))
	f.Fuzz(func(t *testing.T, body []byte, end uint64) {
		ext, err := decodeFreeList(body, end)
		if err != nil {
			return
		}
		at := uint64(firstUnit)
		for i, e := range ext {
			if e.n == 0 || e.off < at || (i > 0 && e.off == at) || e.end() < e.off || e.end() > end {
				t.Fatalf("extent %d of %v, end %d", i, ext, end)
			}
			at = e.end()
		}
		again, err := decodeFreeList(appendFreeList(nil, ext), end)
		if err != nil || !slices.Equal(again, ext) {
			t.Fatalf("%v encoded and decoded: %v, %v", ext, again, err)
		}
	})
}
