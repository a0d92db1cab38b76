package dump

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A file of bbolt, which was Bolt. It has pages of one size, little-endian here:
//
//	page    0 8 number of the page · 8 2 flags: 1 branch, 2 leaf, 4 meta ·
//	        10 2 number of elements · 12 4 how many pages more it takes
//	meta    pages 0 and 1, behind the header of the page: 0 4 magic ·
//	        4 4 version, 2 · 8 4 page size · 16 8 page of the root bucket ·
//	        40 8 number of pages · 48 8 transaction · 56 8 FNV-1a of what is before
//	branch  16 bytes an element: 0 4 where the key is, from here · 4 4 its size ·
//	        8 8 page of the child
//	leaf    16 bytes an element: 0 4 flags: 1 a bucket · 4 4 where the key is ·
//	        8 4 its size · 12 4 size of the value, which is behind it
//	bucket  a value: 0 8 page of its root, 0: that is behind it, inline · 8 8 sequence
//
// The meta of the newest transaction whose checksum is right counts. Nothing in
// a file is believed: no page is read twice, and no bytes of one, so that the
// work and the memory are bounded by the size of the file.

// A boltReader reads the entries of all buckets. The keyspace of a record is the
// names of its buckets with slashes between; a name that is no text, or has
// control characters, stands with the escapes of Go.
type boltReader struct {
	bare
	r        io.ReaderAt
	pageSize uint64
	pages    uint64
	seen     []uint64 // a bit a page
	stack    []boltPage
	spaces   map[string]bool // of the buckets that were met
	record   Record
}

// boltPage is a page on the way to the current entry.
type boltPage struct {
	buf    []byte
	number uint64 // of the page; where it is inline, of that it is in
	space  string
	leaf   bool
	inline bool
	count  int
	next   int    // element
	used   uint64 // where the bytes end that were shown
	last   []byte // the key before
}

const (
	boltMagic  = 0xed0cdaed
	boltHead   = 16
	boltBranch = 1
	boltLeaf   = 2
	boltDepth  = 1024 // most pages on the way to an entry, buckets in buckets included
)

// NewBoltReader returns a Reader of a file of bbolt. No process may write to
// the file meanwhile.
func NewBoltReader(r io.ReaderAt, size int64) (Reader, error) {
	b := &boltReader{r: r, spaces: map[string]bool{}}
	root, ok, err := b.meta(uint64(max(size, 0)))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, inputError("no file of bbolt: neither of its metas is whole")
	}
	if b.pages > uint64(size)/b.pageSize {
		return nil, inputError("the file was cut off: it has %d bytes of %d pages of %d", size, b.pages, b.pageSize)
	}
	b.seen = make([]uint64, b.pages/64+1)
	b.record.fields = fieldsNamed("key", "value")
	return b, b.page(root, "")
}

// meta finds the newest meta and returns the page of the root bucket.
func (b *boltReader) meta(size uint64) (root uint64, ok bool, err error) {
	var newest uint64
	try := func(at uint64) (pageSize uint64) {
		var m [64]byte
		if at > size || size-at < boltHead+64 {
			return 0
		}
		if _, e := b.r.ReadAt(m[:], int64(at)+boltHead); e != nil {
			err = e
			return 0
		}
		le := binary.LittleEndian
		sum := uint64(14695981039346656037)
		for _, c := range m[:56] {
			sum = (sum ^ uint64(c)) * 1099511628211
		}
		pageSize = uint64(le.Uint32(m[8:]))
		if le.Uint32(m[:]) != boltMagic || le.Uint32(m[4:]) != 2 || sum != le.Uint64(m[56:]) ||
			pageSize < 512 || pageSize > 1<<20 || pageSize&(pageSize-1) != 0 || at != 0 && at != pageSize {
			return 0
		}
		if tx := le.Uint64(m[48:]); !ok || tx > newest {
			newest, root, ok = tx, le.Uint64(m[16:]), true
			b.pageSize, b.pages = pageSize, le.Uint64(m[40:])
		}
		return pageSize
	}
	if second := try(0); second > 0 {
		try(second)
		return root, ok, err
	}
	for at := uint64(512); at <= 1<<20 && !ok; at <<= 1 {
		try(at)
	}
	return root, ok, err
}

//go:noinline // called in many places, none of them hot
func boltDamage(page uint64, what string) error {
	return inputError("page %d of the bbolt file %s", page, what)
}

// page puts a page on the stack.
func (b *boltReader) page(number uint64, space string) error {
	if number < 2 || number >= b.pages {
		return boltDamage(number, "is not there")
	}
	var head [boltHead]byte
	if _, err := b.r.ReadAt(head[:], int64(number*b.pageSize)); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(head[:]) != number {
		return boltDamage(number, "has another number")
	}
	span := uint64(binary.LittleEndian.Uint32(head[12:])) + 1
	if span > b.pages-number {
		return boltDamage(number, "goes on behind the end")
	}
	for n := number; n < number+span; n++ {
		if b.seen[n/64]&(1<<(n%64)) != 0 {
			return boltDamage(n, "is reached twice")
		}
		b.seen[n/64] |= 1 << (n % 64)
	}
	buf := make([]byte, span*b.pageSize)
	if _, err := b.r.ReadAt(buf, int64(number*b.pageSize)); err != nil {
		return err
	}
	return b.push(boltPage{buf: buf, number: number, space: space})
}

func (b *boltReader) push(p boltPage) error {
	if len(b.stack) == boltDepth {
		return boltDamage(p.number, "is nested too deep")
	}
	flags := binary.LittleEndian.Uint16(p.buf[8:])
	p.count = int(binary.LittleEndian.Uint16(p.buf[10:]))
	p.leaf = flags == boltLeaf
	p.used = uint64(boltHead + 16*p.count)
	if flags != boltLeaf && (flags != boltBranch || p.inline) || p.used > uint64(len(p.buf)) {
		return boltDamage(p.number, "is neither a branch nor a leaf")
	}
	b.stack = append(b.stack, p)
	return nil
}

func (b *boltReader) Read() (*Record, error) {
	for len(b.stack) > 0 {
		p := &b.stack[len(b.stack)-1]
		if p.next == p.count {
			b.stack = b.stack[:len(b.stack)-1]
			continue
		}
		at := uint64(boltHead + 16*p.next)
		e := p.buf[at : at+16]
		p.next++
		word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(e[i:])) }
		if !p.leaf {
			if err := b.page(binary.LittleEndian.Uint64(e[8:]), p.space); err != nil {
				return nil, err
			}
			continue
		}
		flags, begin, keySize, valueSize := word(0), at+word(4), word(8), word(12)
		end := begin + keySize + valueSize
		if begin < p.used || end > uint64(len(p.buf)) || flags > 1 {
			return nil, boltDamage(p.number, "has an element that does not fit")
		}
		p.used = end
		source := p.buf[begin:end:end]
		key, value := source[:keySize:keySize], source[keySize:]
		if p.next > 1 && bytes.Compare(p.last, key) >= 0 {
			return nil, boltDamage(p.number, "has keys that are out of order")
		}
		p.last = key
		if flags == 0 {
			r := &b.record
			r.Source, r.Space = source, p.space
			r.fields[0].value, r.fields[1].value = key, value
			return r, nil
		}
		if err := b.bucket(p, key, value); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

// bucket goes into a bucket.
func (b *boltReader) bucket(p *boltPage, name, value []byte) error {
	space := string(name)
	if !utf8.ValidString(space) || strings.ContainsFunc(space, unicode.IsControl) {
		space = strconv.Quote(space)
		space = space[1 : len(space)-1]
	}
	if p.space != "" {
		space = p.space + "/" + space
	}
	if b.spaces[space] {
		return inputError("two buckets would be the keyspace %s, since a name has a slash or an escape in it: rename that bucket first", Printable([]byte(space)))
	}
	b.spaces[space] = true
	switch {
	case len(value) < 16, p.inline:
		return boltDamage(p.number, "has a bucket that is none")
	case binary.LittleEndian.Uint64(value) != 0:
		return b.page(binary.LittleEndian.Uint64(value), space)
	case len(value) < 16+boltHead:
		return boltDamage(p.number, "has a bucket that is none")
	}
	return b.push(boltPage{buf: value[16:], number: p.number, space: space, inline: true})
}
