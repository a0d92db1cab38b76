package compress

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

var codecs = []Codec{None, S2, Zstd}

func text(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "key %08d is followed by its value; ", i)
	}
	return b[:n]
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestDecode_ReturnsWhatEncodeTook(t *testing.T) {
	for _, c := range codecs {
		for _, n := range []int{0, 1, 47, 4096, 100_000, 5 << 20} {
			for name, src := range map[string][]byte{"text": text(n), "noise": noise(n), "zeros": make([]byte, n)} {
				enc := Encode(c, []byte("before"), src)
				if string(enc[:6]) != "before" {
					t.Fatalf("%v: encode overwrote dst", c)
				}
				have, err := Decode(c, []byte("head"), enc[6:], n)
				if err != nil || !bytes.Equal(have, append([]byte("head"), src...)) {
					t.Errorf("%v of %d bytes of %s: %v", c, n, name, err)
				}
			}
		}
	}
}

func TestDecode_RefusesAnotherLength(t *testing.T) {
	for _, c := range codecs {
		src := text(4096)
		enc := Encode(c, nil, src)
		for _, n := range []int{-1, 0, 1, 4095, 4097, 1 << 40} {
			if _, err := Decode(c, nil, enc, n); err == nil {
				t.Errorf("%v: plain length %d of 4096 accepted", c, n)
			}
		}
	}
	if _, err := Decode(3, nil, []byte("x"), 1); err == nil {
		t.Error("unknown codec accepted")
	}
}

// Several goroutines share the encoder and the decoder.
func TestCodecs_ServeManyAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				src := text(1000*g + i)
				for _, c := range codecs {
					if have, err := Decode(c, nil, Encode(c, nil, src), len(src)); err != nil || !bytes.Equal(have, src) {
						t.Errorf("%v: %v", c, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// Whatever the bytes, Decode returns exactly plainLen bytes or an error, and
// does not write past the room it was given.
func FuzzDecode(f *testing.F) {
	for _, c := range codecs {
		f.Add(uint8(c), Encode(c, nil, text(300)), 300)
		f.Add(uint8(c), []byte{}, 0)
	}
	f.Fuzz(func(t *testing.T, c uint8, src []byte, plainLen int) {
		if plainLen > 1<<20 {
			return
		}
		room := make([]byte, 0, max(plainLen, 0)+8)
		have, err := Decode(Codec(c), room, src, plainLen)
		if err == nil && len(have) != plainLen {
			t.Fatalf("have %d bytes, want %d", len(have), plainLen)
		}
		if !bytes.Equal(room[len(room)+max(plainLen, 0):cap(room)], make([]byte, 8)) {
			t.Fatal("wrote past the plain length")
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	src := text(4048)
	for _, c := range codecs {
		enc := Encode(c, nil, src)
		dst := make([]byte, 0, 8192)
		b.Run(fmt.Sprintf("Encode/%v", c), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				Encode(c, dst, src)
			}
		})
		b.Run(fmt.Sprintf("Decode/%v", c), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, err := Decode(c, dst, enc, len(src)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
