package node

import (
	"bytes"
	"testing"
)

func TestHeader_GetReturnsWhatPutStored(t *testing.T) {
	want := Header{
		Sum: 0x1112131415161718, Kind: Branch, Codec: 2, Level: 3, Shift: 4,
		DB: 0x2122232425262728, Keyspace: 0x31323334, Len: 0x41424344,
		Gen: 0x5152535455565758, PlainLen: 0x61626364, Count: 0x7172, Prefix: 0x8182,
	}
	b := make([]byte, HeaderSize)
	want.Put(b)
	have, err := GetHeader(b)
	if err != nil || have != want {
		t.Fatalf("have %+v, %v\nwant %+v", have, err, want)
	}
}

// The layout is a promise of docs/FORMAT.md: these bytes never change.
func TestHeader_Layout(t *testing.T) {
	h := Header{
		Sum: 1, Kind: Leaf, Codec: 1, Level: 2, Shift: 3, DB: 4, Keyspace: 5,
		Len: 6, Gen: 7, PlainLen: 8, Count: 9, Prefix: 10,
	}
	have := make([]byte, HeaderSize)
	h.Put(have)
	want := []byte{
		1, 0, 0, 0, 0, 0, 0, 0, 'L', 'n', 'E', 'x', 1, 1, 2, 3,
		4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0,
		7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 9, 0, 10, 0,
	}
	if !bytes.Equal(have, want) {
		t.Fatalf("have %v\nwant %v", have, want)
	}
}

func TestGetHeader_RefusesWhatIsNoExtent(t *testing.T) {
	b := make([]byte, HeaderSize)
	if _, err := GetHeader(b); err == nil {
		t.Error("zeros: no error")
	}
	(&Header{}).Put(b)
	if _, err := GetHeader(b[:HeaderSize-1]); err == nil {
		t.Error("short: no error")
	}
	b[11]++
	if _, err := GetHeader(b); err == nil {
		t.Error("bad magic: no error")
	}
}

func TestSum_CoversAllButItself(t *testing.T) {
	b := make([]byte, HeaderSize+100)
	sum := Sum(b)
	for i := range b {
		b[i] ^= 1
		if same := Sum(b) == sum; same != (i < 8) {
			t.Errorf("byte %d flipped: checksum the same: %v", i, same)
		}
		b[i] ^= 1
	}
}
