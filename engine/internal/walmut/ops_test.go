package wal

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

var testOps = []Op{
	{Kind: kv.Set, Key: []byte("key"), Value: []byte("value")},
	{Kind: kv.Set, Keyspace: 300, Key: []byte{}, Value: []byte{}},
	{Kind: kv.Set, Keyspace: kv.CatalogKeyspace - 1, Key: bytes.Repeat([]byte{7}, kv.MaxKeySize), Value: make([]byte, 1<<20)},
	{Kind: kv.Delete, Keyspace: 127, Key: []byte("k")},
	{Kind: kv.DeleteRange, Keyspace: 128, Key: []byte("a"), Value: []byte("b")},
	{Kind: kv.DeleteRange, Key: []byte{}, EndUnbounded: true},
	{Kind: kv.DeleteRange, Key: []byte("a"), Value: []byte{}},
	{Kind: kv.CreateKeyspace, Keyspace: 5, Codec: 2, PageSize: 65536, Name: "events"},
	{Kind: kv.DropKeyspace, Keyspace: 5},
}

func TestOps_RoundTrip(t *testing.T) {
	var p []byte
	for _, op := range testOps {
		p = AppendOp(p, op)
	}
	rest := p
	for i, want := range testOps {
		var op Op
		var err error
		if op, rest, err = NextOp(rest); err != nil {
			t.Fatalf("operation %d: %v", i, err)
		}
		if !reflect.DeepEqual(op, want) {
			t.Fatalf("operation %d: have %+v, want %+v", i, op, want)
		}
	}
	if len(rest) > 0 {
		t.Fatalf("%d bytes left", len(rest))
	}
}

func TestNextOp_CutAnywhere(t *testing.T) {
	for _, op := range testOps {
		p := AppendOp(nil, op)
		for n := 0; n < len(p); n += 1 + n/100 {
			if _, _, err := NextOp(p[:n]); err == nil {
				t.Fatalf("%d of %d bytes of a %d pass for an operation", n, len(p), op.Kind)
			}
		}
	}
}

func TestNextOp_Limits(t *testing.T) {
	long := make([]byte, kv.MaxKeySize+2)
	for what, p := range map[string][]byte{
		"unknown kind":     {9, 0},
		"kind 0":           {0, 0},
		"catalog keyspace": {5, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F},
		"long keyspace":    {5, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F},
		"endless uvarint":  bytes.Repeat([]byte{0xFF}, 20),
		"huge key length":  {1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01},
		"long key":         AppendSet(nil, 0, long[:kv.MaxKeySize+1], nil),
		"long start":       AppendOp(nil, Op{Kind: kv.DeleteRange, Key: long, EndUnbounded: true}),
		"long end":         AppendOp(nil, Op{Kind: kv.DeleteRange, Value: long}),
	} {
		if op, _, err := NextOp(p); err == nil {
			t.Errorf("%s passes: %+v", what, op)
		}
	}
	if _, _, err := NextOp(AppendOp(nil, Op{Kind: kv.DeleteRange, Value: long[1:]})); err != nil {
		t.Errorf("the successor of the longest key as an end: %v", err)
	}
}

func FuzzNextOp(f *testing.F) {
	for _, op := range testOps {
		if p := AppendOp(nil, op); len(p) < 512 {
			f.Add(p)
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for len(p) > 0 {
			op, rest, err := NextOp(p)
			if err != nil {
				return
			}
			again, left, err := NextOp(AppendOp(nil, op))
			if err != nil || len(left) > 0 || !reflect.DeepEqual(op, again) {
				t.Fatalf("%+v encodes to %+v, %v", op, again, err)
			}
			if len(rest) >= len(p) {
				t.Fatal("no progress")
			}
			p = rest
		}
	})
}
