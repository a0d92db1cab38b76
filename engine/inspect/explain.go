package inspect

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/lightning-db/lightning/engine/internal/node"
)

// maxFlipSearch is the longest extent in which a flipped bit is looked for: the
// time grows with the square of the length, and is 0.2 s for this one.
const maxFlipSearch = 16 << 10

// Explain says what may have become of the extent of ref, whose bytes do not
// agree with its checksum: "" where nothing can be told. What stands whole in
// its place (another database's extent, an older one, one that belongs
// elsewhere) the damage tells already, as its kind.
func (r *Reader) Explain(ref Ref) string {
	if ref.Length < node.HeaderSize || ref.Length > maxStored || ref.Offset < FirstExtent {
		return ""
	}
	if have := uint64(max(r.db.Size, 0)); have < ref.Offset+uint64(ref.Length) {
		if have <= ref.Offset {
			return "the file ends before it"
		}
		return fmt.Sprintf("the file has %d of its %d bytes", have-ref.Offset, ref.Length)
	}
	if ref.Length > maxCompressed {
		return "" // too long to be looked at as a whole
	}
	if ref.Length > node.MaxSize {
		r.db.large.Lock()
		defer r.db.large.Unlock()
	}
	b := make([]byte, ref.Length)
	if n, err := readFull(r.db.file, b, int64(ref.Offset)); err != nil || n < len(b) {
		return ""
	}
	header := binary.LittleEndian.Uint64(b)
	sum := node.Sum(b)
	switch {
	case sum == ref.Checksum && header == ref.Checksum:
		return "read again it is whole: the disk or the memory gave other bytes before"
	case sum == ref.Checksum && bits.OnesCount64(header^ref.Checksum) == 1:
		return fmt.Sprintf("a single flipped bit, in its stored checksum: bit %d", bits.TrailingZeros64(header^ref.Checksum))
	case sum == ref.Checksum:
		return "only its stored checksum was changed"
	case allZero(b):
		return "all of it is zeros: it was never written, or is a hole in the file"
	}
	if bit := flippedBit(b, ref.Checksum); bit >= 0 {
		return fmt.Sprintf("a single flipped bit: bit %d of the byte at offset %d", bit%8, ref.Offset+uint64(bit/8))
	}
	if from, to := zeroSectors(b); to > from {
		return fmt.Sprintf("zeros from offset %d to %d", ref.Offset+uint64(from), ref.Offset+uint64(to))
	}
	if looksLikeText(b) {
		return "it looks like text: something else was written here"
	}
	if _, err := node.GetHeader(b); err == nil {
		return "it begins as an extent: it was written in part, or over in part"
	}
	return "nothing of it is an extent"
}

// flippedBit returns the bit whose change gives b the checksum, or -1.
func flippedBit(b []byte, checksum uint64) int {
	if len(b) > maxFlipSearch {
		return -1
	}
	for bit := 8 * 8; bit < 8*len(b); bit++ {
		b[bit/8] ^= 1 << (bit % 8)
		found := node.Sum(b) == checksum
		b[bit/8] ^= 1 << (bit % 8)
		if found {
			return bit
		}
	}
	return -1
}

// zeroSectors returns the first run of whole sectors that are zeros, which a
// node has nowhere.
func zeroSectors(b []byte) (from, to int) {
	for at := 0; at+Unit <= len(b); at += Unit {
		if allZero(b[at:][:Unit]) {
			if to == 0 {
				from = at
			}
			to = at + Unit
		} else if to > 0 {
			break
		}
	}
	return from, to
}

func looksLikeText(b []byte) bool {
	printable := 0
	for _, c := range b {
		if c >= ' ' && c < 0x7f || c == '\n' || c == '\t' || c == '\r' {
			printable++
		}
	}
	return printable*100 > len(b)*97
}
