package verify

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
)

// passFile is the file of a pass. It is replaced as a whole, so that a crash
// leaves the one before or the new one. It is text, a line for each field and
// each finding, and a checksum at its end:
//
//	lightning scrub 1
//	database 0f2e…                     hex
//	began 1795910400                   seconds since 1970
//	ended 1795932000                   0: not yet
//	place 3 "user:81"                  keyspace and key
//	read 7 1204331 812004 3100000000   parts, keys, nodes, bytes
//	omitted 0
//	finding "R2" "my.db/btree.db" 8192 "checksum" "…" "" "user:81" "user:95" "" 14
//	sum 8d5e…                          XXH64 of the lines before, hex
//
// The fields of a finding are those of the type; an empty bound is none.
type passFile struct {
	fs   vfs.FS
	name string
}

const (
	passMagic    = "lightning scrub 1\n"
	maxPassBytes = 16 << 20
)

func (f passFile) invalid(why string) error {
	return fmt.Errorf("%w progress file %s: %s", engine.ErrInvalid, f.name, why)
}

// write replaces the file. Errors name it so, also where they are of the new one.
func (f passFile) write(p *Pass) error {
	err := f.replace(p)
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		of.Path = f.name
	}
	return err
}

func (f passFile) replace(p *Pass) error {
	tmp := fmt.Sprintf("%s.partial-%d", f.name, os.Getpid())
	err := f.fs.Remove(tmp) // of a killed process with this number
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := f.fs.Open(tmp, vfs.CreateNew)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(p.encode(), 0)
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = f.fs.Rename(tmp, f.name)
	}
	if err != nil {
		_ = f.fs.Remove(tmp)
		return err
	}
	return f.fs.SyncDir(filepath.Dir(f.name))
}

// read returns the pass in the file, or nil where there is no file.
func (f passFile) read() (*Pass, error) {
	file, err := f.fs.Open(f.name, vfs.ReadOnly)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, min(size, maxPassBytes))
	if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.HasPrefix(b, []byte(passMagic)) {
		return nil, f.invalid("it holds something else")
	}
	p, ok := decodePass(b)
	if !ok {
		return nil, f.invalid("it is damaged; remove it, and a pass begins anew")
	}
	return p, nil
}

func (p *Pass) encode() []byte {
	var ended int64
	if !p.Ended.IsZero() {
		ended = p.Ended.Unix()
	}
	b := fmt.Appendf(nil, passMagic+"database %x\nbegan %d\nended %d\nplace %d %q\nread %d %d %d %d\nomitted %d\n",
		p.Database, p.Began.Unix(), ended, p.Keyspace, p.Key, p.Parts, p.Keys, p.Nodes, p.Bytes, p.Omitted)
	for i := range p.Findings {
		f := &p.Findings[i]
		b = fmt.Appendf(b, "finding %q %q %d %q %q %q %q %q %q %d\n",
			f.Invariant, f.Path, f.Offset, f.Kind, f.Reason, f.Explanation, f.Start, f.End, f.Keyspace, f.Keys)
	}
	return fmt.Appendf(b, "sum %016x\n", xxhash.Sum64(b))
}

// decodePass decodes what encode made.
func decodePass(b []byte) (*Pass, bool) {
	at := max(strings.LastIndex(string(b), "sum "), 0)
	if string(b[at:]) != fmt.Sprintf("sum %016x\n", xxhash.Sum64(b[:at])) {
		return nil, false
	}
	r := passReader{rest: string(b[len(passMagic):at])}
	p := new(Pass)
	r.name("database")
	id, err := hex.DecodeString(r.word())
	r.bad = r.bad || err != nil || copy(p.Database[:], id) != len(p.Database)
	r.name("began")
	p.Began = time.Unix(int64(r.number()), 0)
	r.name("ended")
	if n := int64(r.number()); n != 0 {
		p.Ended = time.Unix(n, 0)
	}
	r.name("place")
	p.Keyspace, p.Key = r.number(), r.bytes()
	r.name("read")
	p.Parts, p.Keys, p.Nodes, p.Bytes = r.number(), r.number(), r.number(), int64(r.number())
	r.name("omitted")
	p.Omitted = r.number()
	for r.rest != "" && !r.bad {
		r.name("finding")
		p.Findings = append(p.Findings, Finding{
			Invariant: r.text(), Path: r.text(), Offset: int64(r.number()), Kind: r.text(), Reason: r.text(), Explanation: r.text(),
			Start: r.bytes(), End: r.bytes(), Keyspace: r.text(), Keys: r.number(),
		})
	}
	return p, !r.bad
}

// passReader reads words, numbers and quoted texts one after the other, until
// one is none.
type passReader struct {
	rest string
	bad  bool
}

// word is what stands before the next space or end of a line.
func (r *passReader) word() string {
	end := strings.IndexAny(r.rest, " \n")
	if end < 0 {
		r.rest, r.bad = "", true
		return ""
	}
	w := r.rest[:end]
	r.rest = r.rest[end+1:]
	return w
}

func (r *passReader) name(want string) { r.bad = r.word() != want || r.bad }

func (r *passReader) number() uint64 {
	n, err := strconv.ParseUint(r.word(), 10, 64)
	r.bad = r.bad || err != nil
	return n
}

func (r *passReader) text() string {
	var text []byte
	rest, quoted := strings.CutPrefix(r.rest, `"`)
	for quoted && rest != "" && rest[0] != '"' {
		c, multibyte, tail, err := strconv.UnquoteChar(rest, '"')
		if quoted, rest = err == nil, tail; multibyte {
			text = utf8.AppendRune(text, c)
		} else {
			text = append(text, byte(c))
		}
	}
	if !quoted || len(rest) < 2 {
		r.rest, r.bad = "", true
		return ""
	}
	r.rest = rest[2:] // with the space or end of a line
	return string(text)
}

// bytes is a text of bytes; an empty one is nil.
func (r *passReader) bytes() []byte {
	if text := r.text(); text != "" {
		return []byte(text)
	}
	return nil
}
