package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/lightning-db/lightning/engine/internal/kv"
	"github.com/lightning-db/lightning/engine/internal/pager"
	"github.com/lightning-db/lightning/engine/internal/wal"
	"github.com/lightning-db/lightning/engine/vfs"
)

// An incremental backup is the commits between two moments, as the log had them.
// So it costs what was written meanwhile, whatever the size of the database and
// wherever its keys lie, and each commit's end is a moment that can be restored.
//
// A backup, full or incremental, names its moment: the database's UUID, the
// sequence number, and the link, a digest of the commit that ends there.
//
//  1. An incremental one follows a backup when it begins at that very moment. Its
//     commits have the sequence numbers up to its own without a gap.
//  2. It is only made where the log shows the commit that its beginning names,
//     with the same digest: of a database that was put back to an older state,
//     or lost its newest commits in a power cut, and went on from there, the
//     sequence numbers would fit.
//  3. A link of 0 is not known, for the log no longer had that commit. A log only
//     ever loses its front: one that has it now is of another history. One that
//     begins right behind it is taken for the same, which it need not be: a copy
//     of the database from before that moment may have come to the same number.

// keptName is the directory of the kept log.
const keptName = "kept"

// KeepLog says whether the database in dir keeps the log behind checkpoints, up
// to Options.MaxHeldBytes and as long as the disk is not full, for incremental
// backups. It stays so until it is said again, and can be said while a process
// has the database open. Not to keep it removes what is kept.
//
// Errors: ErrNotExist, ErrFormat, and those of the file system.
func KeepLog(fsys vfs.FS, dir string, keep bool) error {
	return wrap("keep the log of "+dir, keepLog(fsys, dir, keep))
}

func keepLog(fsys vfs.FS, dir string, keep bool) error {
	state, err := examine(fsys, dir)
	if err == nil && state != present {
		err = ErrNotExist
	}
	if err != nil {
		return err
	}
	kept := filepath.Join(dir, keptName)
	if !keep {
		return removeLog(fsys, kept)
	}
	info, err := fsys.Stat(kept)
	if err == nil && info.IsDir {
		return nil
	}
	if err := fsys.Mkdir(kept); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// KeepsLog says whether the database in dir keeps its log (KeepLog), and how large
// what is kept is, in bytes. Errors are those of the file system.
func KeepsLog(fsys vfs.FS, dir string) (keeps bool, bytes int64, err error) {
	if fsys == nil {
		return false, 0, errNoFS
	}
	kept := filepath.Join(dir, keptName)
	names, err := fsys.List(kept)
	if errors.Is(err, fs.ErrNotExist) {
		return false, 0, nil
	}
	for _, name := range names {
		// What has gone since was too old, or nothing is kept any more.
		if info, err := fsys.Stat(filepath.Join(kept, name)); err == nil {
			bytes += info.Size
		}
	}
	return err == nil, bytes, wrap("list the kept log", err)
}

// link is the digest of the commit that ends with the operation seq, or 0 where
// the log does not have it.
func (db *DB) link(ctx context.Context, uuid [16]byte, seq kv.Seq) (link uint64) {
	_ = wal.Past(ctx, db.walOptions(uuid), seq, seq, func(rec wal.Record) error {
		if rec.Last() == seq {
			link = digest(&rec)
		}
		return io.EOF
	})
	return link
}

// digest tells a commit from every other in its place: the XXH64 of its position
// in the log (8 bytes), the sequence number of its first operation (8), how many
// there are (4), and their bytes. It is not 0.
func digest(rec *wal.Record) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, uint64(rec.LSN))
	b = binary.LittleEndian.AppendUint64(b, uint64(rec.Seq))
	b = binary.LittleEndian.AppendUint32(b, rec.Count)
	d := xxhash.New()
	_, _ = d.Write(b)
	_, _ = d.Write(rec.Payload)
	return max(d.Sum64(), 1)
}

// Follows reports, by its error, whether a backup is the next one behind
// earlier: ErrChain.
func (b *BackupInfo) Follows(earlier *BackupInfo) error {
	if earlier == nil {
		return invalid("the earlier backup is nil")
	}
	switch {
	case !b.Incremental:
		return errorf("%w: it is a full backup, and follows none", ErrChain)
	case b.uuid != earlier.uuid:
		return errorf("%w: it is of another database", ErrChain)
	case b.Since != earlier.Seq:
		return errorf("%w: it follows the backup of sequence number %d, and the one before it is of %d: one is missing, or they are out of order",
			ErrChain, b.Since, earlier.Seq)
	case b.sinceLink != earlier.link:
		return errorf("%w: it follows another backup of sequence number %d: in between the database was put back to an older state, or copied", ErrChain, b.Since)
	}
	return nil
}

// backupSince writes the commits up to info.Seq that since does not have.
func (db *DB) backupSince(ctx context.Context, info *BackupInfo, out *streamWriter, since *BackupInfo) error {
	switch {
	case since.uuid != info.uuid:
		return errorf("%w: the earlier one is of another database", ErrChain)
	case since.Seq > info.Seq:
		return errorf("%w: the earlier one is of sequence number %d, and the database is at %d: it was put back to an older state, or lost its newest commits in a power cut", ErrChain, since.Seq, info.Seq)
	}
	follows := binary.LittleEndian.AppendUint64(nil, since.Seq)
	follows = binary.LittleEndian.AppendUint64(follows, since.link)
	if err := out.put(blockFollows, follows); err != nil {
		return err
	}
	linked := since.link == 0
	err := wal.Past(ctx, db.walOptions(info.uuid), kv.Seq(since.Seq), kv.Seq(info.Seq), func(rec wal.Record) error {
		if next, err := since.next(&rec, &linked); !next {
			return err
		}
		info.Commits++
		return out.commit(rec.Count, rec.Payload)
	})
	if errors.Is(err, wal.ErrGone) || err == nil && !linked {
		return errorf("the commits behind sequence number %d: %w", since.Seq, ErrGone)
	}
	if errors.Is(public(err), ErrCorrupt) { // any other may be of out
		err = db.readError(err)
	}
	return err
}

// next reports whether a commit of the log comes behind the backup. linked begins as
// true where the backup has no link, and becomes so with the commit that it ends
// with, which must come before: ErrChain, wal.ErrGone.
func (b *BackupInfo) next(rec *wal.Record, linked *bool) (bool, error) {
	switch {
	case rec.Last() == kv.Seq(b.Seq) && b.link == digest(rec):
		*linked = true
		return false, nil
	case rec.Seq <= kv.Seq(b.Seq):
		return false, errorf("%w: the commit at sequence number %d is another than in the earlier one: since then the database was put back to an older state, or lost its newest commits in a power cut", ErrChain, b.Seq)
	case !*linked:
		return false, errorf("%w: what is left begins with sequence number %d", wal.ErrGone, rec.Seq)
	}
	return true, nil
}

// ReadBackupInfo reads no more than the beginning of a backup: which moment it
// is of, and which one it follows.
//
// Errors: ErrFormat, ErrVersion, ErrCorrupt, and those of r.
func ReadBackupInfo(r io.Reader) (BackupInfo, error) {
	s, info, err := openStream(r)
	if err == nil {
		info.Bytes = s.offset
	}
	return info, wrap("read backup", err)
}

// openStream begins to read a backup of either kind.
func openStream(r io.Reader) (*streamReader, BackupInfo, error) {
	if r == nil {
		return nil, BackupInfo{}, errNoReader
	}
	s, h, err := newStreamReader(r)
	if err != nil {
		return nil, BackupInfo{}, err
	}
	info := BackupInfo{Incremental: h.incremental, Seq: h.seq, Time: time.Unix(h.time, 0), uuid: h.uuid, link: h.link}
	if !h.incremental {
		return s, info, nil
	}
	kind, block, err := s.next()
	if err != nil {
		return nil, info, err
	}
	if kind != blockFollows || len(block) != 16 {
		return nil, info, streamDamage(s.offset, "it does not say what it follows")
	}
	info.Since, info.sinceLink = binary.LittleEndian.Uint64(block), binary.LittleEndian.Uint64(block[8:])
	if info.Since > info.Seq {
		return nil, info, streamDamage(s.offset, "it ends before it begins")
	}
	return s, info, nil
}

// readCommits reads the rest of an incremental backup. visit gets each commit
// with the sequence number of its first operation; io.EOF of it ends the reading.
func readCommits(ctx context.Context, s *streamReader, info *BackupInfo, visit func(first uint64, o *ops) error) error {
	c := commitReader{stream: s}
	seq := info.Since
	for {
		if ctx.Err() != nil { // each: one may make a keyspace, among many
			return ctx.Err()
		}
		o, err := c.next()
		if err != nil {
			return err
		}
		if o.count == 0 {
			break
		}
		if uint64(o.count) > info.Seq-seq {
			return streamDamage(s.offset, "there are more operations than its sequence numbers")
		}
		if err := visit(seq+1, &o); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		seq += uint64(o.count)
		info.Commits++
	}
	if c.kind != blockEnd || len(c.block) != 16 || seq != info.Seq ||
		binary.LittleEndian.Uint64(c.block) != info.Commits || binary.LittleEndian.Uint64(c.block[8:]) != c.read {
		return streamDamage(s.offset, errStreamEnd)
	}
	if !s.atEnd() {
		return streamDamage(s.offset, errStreamTail)
	}
	info.Bytes = s.offset
	return nil
}

// commitReader reads commits, which the blocks cut anywhere. It holds no more
// memory than the bytes that came.
type commitReader struct {
	stream *streamReader
	read   uint64 // bytes of commits
	rest   []byte // of the current block
	buf    []byte // a commit that lies in several

	// The next block that is not commits.
	kind  byte
	block []byte
}

// next returns the next commit, valid until the one after, or one of no
// operations behind the last.
func (c *commitReader) next() (ops, error) {
	if more, err := c.more(); !more {
		return ops{}, err
	}
	count, err := binary.ReadUvarint(c)
	if err != nil {
		return ops{}, c.wrong(err)
	}
	size, err := binary.ReadUvarint(c)
	if err != nil {
		return ops{}, c.wrong(err)
	}
	if size > MaxCommitSize || count == 0 || count > size { // an operation has two bytes or more
		return ops{}, streamDamage(c.stream.offset, "a commit of an impossible size")
	}
	o := ops{count: uint32(count)} // who applies them sees to the keyspaces
	if o.payload, err = c.take(int(size)); err != nil {
		return ops{}, c.wrong(err)
	}
	if reason := o.wrong(); reason != "" {
		return ops{}, streamDamage(c.stream.offset, reason)
	}
	return o, nil
}

// more reports whether there are more bytes of commits.
func (c *commitReader) more() (bool, error) {
	if len(c.rest) > 0 {
		return true, nil
	}
	kind, block, err := c.stream.next()
	switch {
	case err != nil:
		return false, err
	case kind != blockCommits:
		c.kind, c.block = kind, block
		return false, nil
	case len(block) == 0:
		return false, streamDamage(c.stream.offset, "an empty block")
	}
	c.rest = block
	return true, nil
}

// ReadByte implements io.ByteReader.
func (c *commitReader) ReadByte() (byte, error) {
	b, err := c.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// take returns the next n bytes; io.ErrUnexpectedEOF where there are fewer.
func (c *commitReader) take(n int) ([]byte, error) {
	c.read += uint64(n)
	if n <= len(c.rest) {
		b := c.rest[:n:n]
		c.rest = c.rest[n:]
		return b, nil
	}
	c.buf = c.buf[:0]
	packed := 0
	for n > 0 {
		if more, err := c.more(); err != nil {
			return nil, err
		} else if !more {
			return nil, io.ErrUnexpectedEOF
		}
		part := min(n, len(c.rest))
		if c.stream.packed {
			if packed += part; packed > 2*maxPacked { // so large ones are not packed
				return nil, streamDamage(c.stream.offset, "a commit of an impossible size")
			}
		}
		c.buf = append(c.buf, c.rest[:part]...)
		c.rest = c.rest[part:]
		n -= part
	}
	return c.buf, nil
}

// wrong is the error of a commit that cannot be read.
func (c *commitReader) wrong(err error) error {
	if _, damaged := errors.AsType[*CorruptError](err); damaged || c.kind == 0 {
		return err
	}
	return streamDamage(c.stream.offset, "a commit ends early")
}

// wrong says what no engine logs, whatever there was before, or "".
func (o *ops) wrong() string {
	p := o.payload
	for range o.count {
		op, rest, err := wal.NextOp(p)
		if err != nil {
			return err.Error()
		}
		if (op.Kind == kv.CreateKeyspace || op.Kind == kv.DropKeyspace) && o.count > 1 {
			return "a keyspace is made or dropped beside other operations"
		}
		p = rest
	}
	if len(p) > 0 {
		return "bytes follow a commit's last operation"
	}
	return ""
}

// applyAll commits what the incremental backups have, up to the sequence number
// to if that is not 0, to a database that was restored from the one before them.
func (db *DB) applyAll(ctx context.Context, info *BackupInfo, backups []io.Reader, to uint64) error {
	for _, r := range backups {
		if to != 0 && info.Seq >= to {
			break
		}
		s, next, err := openStream(r)
		if err == nil {
			err = next.Follows(info)
		}
		if err != nil {
			info.Whole = errors.Is(err, ErrCorrupt)
			return err
		}
		err = readCommits(ctx, s, &next, func(_ uint64, o *ops) error {
			return db.applyNext(info, o, to, &CorruptError{Path: "backup", Offset: s.offset, Kind: "structure"})
		})
		if err != nil {
			info.Whole = errors.Is(err, ErrCorrupt)
			return err
		}
		info.Bytes += s.offset
		info.link = next.link
	}
	return nil
}

// applyNext commits what follows info, which it moves on. io.EOF: it ends at to.
// damage is the error, but for the reason, of what no engine logs.
func (db *DB) applyNext(info *BackupInfo, o *ops, to uint64, damage *CorruptError) error {
	last := info.Seq + uint64(o.count)
	if to != 0 && last > to {
		return errorf("%w: no commit ends at sequence number %d, the nearest at %d and %d", ErrChain, to, info.Seq, last)
	}
	err := db.commitOps(o, func(*version) error {
		return o.each(func(op *wal.Op) error {
			if damage.Reason = impossible(op, db.spaces); damage.Reason != "" {
				return damage
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	info.Commits++
	if info.Seq = last; last == to {
		return io.EOF
	}
	return nil
}

// applyLog is applyAll of what the log of the database in dir has behind the
// backups.
func (db *DB) applyLog(ctx context.Context, info *BackupInfo, dir string, to uint64) error {
	if to != 0 && info.Seq >= to {
		return nil
	}
	return info.readLog(ctx, db.fs, dir, func(rec wal.Record) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		o := ops{count: rec.Count, payload: rec.Payload}
		damage := &CorruptError{Path: filepath.Join(dir, walName), Offset: int64(rec.LSN), Kind: "log", Reason: o.wrong()}
		if damage.Reason != "" {
			return damage
		}
		return db.applyNext(info, &o, to, damage)
	})
}

// fits checks that the log goes on behind the full backup b, if it is to be asked at
// all, or, where other backups come between, that it is of the same database. It
// returns what Restore is to return with an error.
func (b BackupInfo) fits(ctx context.Context, o *RestoreOptions) (BackupInfo, error) {
	between := len(o.Apply) > 0
	end := func(wal.Record) error { return io.EOF }
	if o.Log == "" || o.ToSeq != 0 && (between || b.Seq >= o.ToSeq) {
		return b, nil
	}
	if between {
		_, err := wal.After(ctx, b.log(o.fs(), o.Log), kv.MaxSeq, 0, end) // of the newest segment
		if errors.Is(err, wal.ErrMismatch) {
			b.Log = true
			return b, b.apart(o.Log, err)
		}
		return b, nil
	}
	return b, b.readLog(ctx, o.fs(), o.Log, end)
}

// log is how to read the log of the database in dir, which is that of the backup.
func (b *BackupInfo) log(fsys vfs.FS, dir string) *wal.Options {
	return &wal.Options{FS: fsys, UUID: b.uuid, Dir: filepath.Join(dir, walName), Kept: filepath.Join(dir, keptName)}
}

// apart is the error that the log of the database in dir does not fit, for err.
func (b *BackupInfo) apart(dir string, err error) error {
	return errorf("%w: the log of %s does not go on behind sequence number %d: %v", ErrChain, dir, b.Seq, err)
}

// readLog visits what the log of the database in dir has behind the backup, which
// visit may move on.
func (b *BackupInfo) readLog(ctx context.Context, fsys vfs.FS, dir string, visit func(wal.Record) error) error {
	b.Log = true
	var closed wal.LSN
	if m, err := pager.ReadMeta(fsys, filepath.Join(dir, treeName)); err == nil && m.UUID == b.uuid {
		closed = wal.LSN(m.LogEnd)
	}
	linked := b.link == 0
	torn, err := wal.After(ctx, b.log(fsys, dir), kv.Seq(b.Seq), closed, func(rec wal.Record) error {
		if next, err := b.next(&rec, &linked); !next {
			return err
		}
		return visit(rec)
	})
	if err == nil && !linked {
		err = wal.ErrGone
	}
	gone := errors.Is(err, wal.ErrGone) || errors.Is(err, wal.ErrMissing)
	foreign := errors.Is(err, wal.ErrMismatch)
	b.Whole = !foreign && (gone || errors.Is(public(err), ErrCorrupt))
	if gone || foreign {
		return b.apart(dir, err)
	}
	if torn != nil {
		b.Torn = (*TornLog)(torn)
	}
	return err
}

// endsAt returns an error unless the backups that were restored end at the
// sequence number to, or that is 0.
func (b *BackupInfo) endsAt(to uint64) error {
	switch {
	case to == 0 || b.Seq == to:
		return nil
	case b.Seq < to && b.Log:
		return errorf("%w: the log ends at sequence number %d, before %d", ErrChain, b.Seq, to)
	case b.Seq < to:
		return errorf("%w: they end at sequence number %d, before %d", ErrChain, b.Seq, to)
	}
	return errorf("%w: the full one is of sequence number %d, behind %d", ErrChain, b.Seq, to)
}
