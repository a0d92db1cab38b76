package btree

import (
	"bytes"
	"errors"
	"io"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/node"
	"github.com/lightning-db/lightning/engine/internal/pager"
)

// A Block is entries in order of key, the key and the value of each behind those
// of the one before it.
type Block struct {
	Bytes []byte
	Ends  []uint32 // in Bytes, of each key and each value
}

// entry returns entry i.
func (b *Block) entry(i int) (key, value []byte) {
	begin := uint32(0)
	if i > 0 {
		begin = b.Ends[2*i-1]
	}
	cut, end := b.Ends[2*i], b.Ends[2*i+1]
	return b.Bytes[begin:cut:cut], b.Bytes[cut:end:end]
}

// ErrOrder says that a key is not behind the one before it.
var ErrOrder = errors.New("keys are out of order")

// Build writes a tree of the entries in the blocks that next returns before
// io.EOF, and tells how many bytes their keys and values have. A block is lent
// until next is called again. Keys that do not increase are ErrOrder; any other
// error of next ends it and is returned. The caller aborts w then.
func Build(w *pager.Writer, p *pager.Pager, cfg Config, next func() (Block, error)) (*Tree, uint64, error) {
	k := packer{builder: builder{w: w, t: newTree(p, nil, cfg)}}
	size := uint64(0)
	for {
		block, err := next()
		if err == io.EOF {
			break
		}
		if err == nil {
			size += uint64(len(block.Bytes))
			err = k.pack(&block)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	root, err := k.finish()
	if err != nil {
		return nil, 0, err
	}
	return newTree(p, root, cfg), size, nil
}

// A packer fills leaf after leaf. Most leaves get full within one block and are
// laid out straight from it; what is left of a block waits, copied, in the first
// page of the leaf level, and the next block goes on with that.
type packer struct {
	builder
	last  []byte // the key before, in the block
	kept  []byte // holds it between blocks
	begun bool   // there is one
}

// pack adds the entries of a block.
func (k *packer) pack(block *Block) error {
	p := &k.level(0).pages[0]
	for i := 0; 2*i < len(block.Ends); {
		if p.empty() {
			n, err := k.whole(block, i)
			if err != nil {
				return err
			}
			if n > 0 {
				i += n
				continue
			}
		}
		added, err := k.wait(p, block, i)
		if err != nil {
			return err
		}
		if added {
			i++
			continue
		}
		if err := k.write(0, p.lower, p.items, p.size(), p.prefix); err != nil {
			return err
		}
		p.reset()
	}
	k.kept = append(k.kept[:0], k.last...)
	k.last = k.kept
	return nil
}

// lower is the separator that leads to a leaf which begins with key.
func (k *packer) lower(key []byte) []byte {
	if !k.begun {
		return nil
	}
	return node.Separator(k.last, key)
}

// wait adds entry i of the block to p, where it has room for it.
func (k *packer) wait(p *page, block *Block, i int) (bool, error) {
	key, value := block.entry(i)
	if k.begun && bytes.Compare(k.last, key) >= 0 {
		return false, ErrOrder
	}
	it := item{key: key, value: value, valueLen: len(value), fp: uint8(kv.Hash(key)), overflow: len(value) > k.limit()/2}
	if _, _, fits := p.with(&it, k.limit()); it.overflow && fits {
		ref, err := k.w.WriteOverflow(k.t.cfg.Keyspace, value, k.t.cfg.Codec)
		if err != nil {
			return false, err
		}
		it.value = encode(ref)
	}
	if p.empty() {
		p.lower = append(p.lower[:0], k.lower(key)...)
	}
	if !p.add(&it, k.limit(), stable{}) {
		return false, nil
	}
	k.last, k.begun = key, true
	return true, nil
}

// whole writes a leaf of the entries from i on, and returns how many it has:
// none where the block ends before the leaf is full, or a value comes before
// that which needs an extent of its own.
func (k *packer) whole(block *Block, i int) (int, error) {
	first, _ := block.entry(i)
	last, begun := k.last, k.begun
	n, prefix, cells := 0, 0, 0
	for {
		if 2*(i+n) == len(block.Ends) {
			return 0, nil
		}
		key, value := block.entry(i + n)
		common := node.CommonPrefix(last, key)
		if begun && (common == len(key) || common < len(last) && last[common] > key[common]) {
			return 0, ErrOrder
		}
		if len(value) > k.limit()/2 {
			return 0, nil
		}
		if n > 1 {
			common = min(common, prefix)
		}
		with := cells + node.LeafCellSize(len(key), len(value), false)
		if n > 0 {
			if node.LeafSize(n+1, common, with) > k.limit() {
				break
			}
			prefix = common
		}
		n, cells, last, begun = n+1, with, key, true
	}
	h := k.header(0)
	k.leaf.Begin(n, first[:prefix], node.LeafSize(n, prefix, cells))
	for end := i + n; i < end; i++ {
		key, value := block.entry(i)
		k.leaf.Add(key[prefix:], uint8(kv.Hash(key)), value, len(value), false)
	}
	f, err := k.w.Write(h, uint64(n), false, k.leaf.Finish(&h), nil, false)
	if err != nil {
		return 0, err
	}
	lower := k.lower(first)
	k.last, k.begun = last, true
	return n, k.written(0, lower, f)
}
