package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sort"
	"time"

	"github.com/lightning-db/lightning/engine/internal/kv"
)

// BackupInfo describes a backup stream.
type BackupInfo struct {
	Incremental bool
	Log         bool     // of Restore: it came to RestoreOptions.Log, and failed there if it did
	Whole       bool     // of Restore, which failed for what is damaged or missing behind Seq: all up to that was whole, if Bytes is not 0: else the log was found so before the stream was read
	Torn        *TornLog // of Restore: what was left out at the end of that, or nil
	Keyspaces   int      // of a full one; of Restore: of the database
	Entries     uint64   // likewise, as Stats counts them
	Runs        int      // of Restore: Stats.Runs
	Commits     uint64   // of an incremental one; of Restore: that were applied to the full one
	Bytes       int64    // of the stream; of Restore: of all that were read
	Since       uint64   // of an incremental one: Seq of the backup that it follows
	Seq         uint64   // sequence number of the newest operation in it
	Time        time.Time
	Duration    time.Duration

	uuid            [16]byte // of the database
	link, sinceLink uint64   // of the moments Seq and Since; 0: not known
}

// TornLog is the end of a log behind which something was left out: what was not
// written whole, as a crash leaves it, or is damaged where nothing proves that it
// was.
type TornLog struct {
	Path    string // the file
	Offset  int64  // where the log ends in it
	Bytes   int64  // written behind that, as far as it can be told; of a short file all that it has there
	Commits uint64 // that are whole there: a power cut may leave them, and so does damage
	Short   bool   // the file is shorter than its header says, or has not even all of that
}

// BackupOptions are the settings of Backup.
type BackupOptions struct {
	// Since makes the backup an incremental one: of only what was committed since
	// that one, which Backup or ReadBackupInfo returned. It costs as many bytes as
	// that has in the log, which must still have it: see KeepLog.
	Since *BackupInfo
	// Progress, when not nil, is called now and then from the goroutine that
	// called Backup.
	Progress func(BackupInfo)
}

// Backup writes the database as of one moment to w: one stream with its own
// checksums, which Restore and VerifyBackup read. Readers and writers go on
// meanwhile. A stream that was not written to its end is never taken for a
// whole one.
//
// Errors of an incremental one: ErrChain when Since is of another database, or of
// a history that this one does not have; ErrGone when the log no longer reaches
// back so far; ErrCorrupt.
func (db *DB) Backup(ctx context.Context, w io.Writer, o *BackupOptions) (BackupInfo, error) {
	if w == nil {
		return BackupInfo{}, db.counters.noteError(errNoWriter)
	}
	ctx = orBackground(ctx)
	began := time.Now()
	s, err := db.Snapshot()
	if err != nil {
		return BackupInfo{}, err
	}
	defer s.Close()
	info := BackupInfo{Seq: s.Seq(), Time: began, uuid: s.view.v.pager.Meta().UUID}
	info.link = db.link(ctx, info.uuid, kv.Seq(info.Seq))
	if o != nil && o.Since != nil {
		info.Incremental, info.Since, info.sinceLink = true, o.Since.Seq, o.Since.link
	}
	out, err := newStreamWriter(w, streamHeader{
		incremental: info.Incremental, uuid: info.uuid, seq: info.Seq, time: began.Unix(), link: info.link,
	})
	if err != nil {
		return info, errorf("backup: %w", err)
	}
	out.step = func() error {
		info.Bytes, info.Duration = out.written, time.Since(began)
		if o != nil && o.Progress != nil {
			o.Progress(info)
		}
		return ctx.Err()
	}
	if info.Incremental {
		s.Close() // what it reads is in the log
		err := db.backupSince(ctx, &info, out, o.Since)
		if err == nil {
			err = out.finish(info.Commits, out.commits)
		}
		if err == nil {
			err = out.step()
		}
		return info, wrap("backup", err)
	}
	for _, sp := range s.view.v.spaces.list() {
		if err := out.put(blockKeyspace, encodeStreamSpace(sp)); err != nil {
			return info, errorf("backup: %w", err)
		}
		info.Keyspaces++
		if err := backupSpace(s, sp, out, &info.Entries); err != nil {
			return info, wrap("backup", err)
		}
	}
	if err := out.finish(info.Entries, uint64(info.Keyspaces)); err != nil {
		return info, errorf("backup: %w", err)
	}
	return info, wrap("backup", out.step())
}

// list returns the keyspaces by id.
func (s *spaces) list() []*space {
	list := make([]*space, 0, len(s.byID))
	for _, sp := range s.byID {
		list = append(list, sp)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].id < list[j].id })
	return list
}

func backupSpace(s *Snapshot, sp *space, out *streamWriter, entries *uint64) error {
	it := s.view.iterator(sp.id, IterOptions{})
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value := it.Value()
		if it.Err() != nil {
			break
		}
		if err := out.entry(it.Key(), value); err != nil {
			return err
		}
		*entries++
	}
	if err := it.Err(); err != nil {
		return err
	}
	return out.endEntries()
}

// encodeStreamSpace is the block of a keyspace: id (4), page size (4), codec
// (1), zeros (3), name.
//
//go:noinline // called in many places, none of them hot
func encodeStreamSpace(sp *space) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(sp.id))
	b = binary.LittleEndian.AppendUint32(b, sp.config.PageSize)
	b = append(b, byte(sp.config.Codec), 0, 0, 0)
	return append(b, sp.name...)
}

func decodeStreamSpace(b []byte) (*space, error) {
	if len(b) < 12 {
		return nil, errors.New("a keyspace's block is too short")
	}
	id := kv.Keyspace(binary.LittleEndian.Uint32(b))
	o := KeyspaceOptions{PageSize: int(binary.LittleEndian.Uint32(b[4:])), Compression: Compression(b[8])}
	if o.PageSize == 0 || o.check() != nil {
		return nil, errors.New("a keyspace's settings are not possible")
	}
	name := string(b[12:])
	if (id == kv.DefaultKeyspace) != (name == "") || id == kv.CatalogKeyspace || name != "" && checkName(name) != nil {
		return nil, errors.New("a keyspace's name is not possible")
	}
	return &space{id: id, name: name, config: treeConfig(id, uint32(o.PageSize), b[8])}, nil
}

// readStream reads the rest of a full backup to its end and checks all of it.
func readStream(ctx context.Context, s *streamReader, info BackupInfo, visit func(sp *space, entries *entryReader) error) (BackupInfo, error) {
	kind, block, err := s.next()
	lastID := int64(-1)
	names := map[string]bool{}
	for err == nil && kind == blockKeyspace {
		sp, e := decodeStreamSpace(block)
		if e != nil {
			return info, streamDamage(s.offset, e.Error())
		}
		if int64(sp.id) <= lastID {
			return info, streamDamage(s.offset, "the keyspaces are out of order")
		}
		if lastID = int64(sp.id); info.Keyspaces == 0 && sp.id != kv.DefaultKeyspace {
			return info, streamDamage(s.offset, "the default keyspace is missing")
		}
		if names[sp.name] {
			return info, streamDamage(s.offset, "two keyspaces have one name")
		}
		names[sp.name] = true
		info.Keyspaces++
		entries := &entryReader{ctx: ctx, stream: s}
		if err := visit(sp, entries); err != nil {
			return info, err
		}
		for entries.Next() { // what visit left
		}
		info.Entries += entries.count
		kind, block, err = entries.kind, entries.block, entries.err
	}
	if err != nil {
		return info, err
	}
	if kind != blockEnd || len(block) != 16 || info.Keyspaces == 0 ||
		binary.LittleEndian.Uint64(block) != info.Entries || binary.LittleEndian.Uint64(block[8:]) != uint64(info.Keyspaces) {
		return info, streamDamage(s.offset, errStreamEnd)
	}
	if !s.atEnd() {
		return info, streamDamage(s.offset, errStreamTail)
	}
	info.Bytes = s.offset
	return info, nil
}

// VerifyBackup reads a backup stream, full or incremental, to its end and checks
// every byte of it. Whether an incremental one fits those before it, Follows says.
func VerifyBackup(ctx context.Context, r io.Reader) (BackupInfo, error) {
	began := time.Now()
	s, info, err := openStream(r)
	switch {
	case err != nil:
	case info.Incremental:
		err = readCommits(orBackground(ctx), s, &info, func(uint64, *ops) error { return nil })
	default:
		info, err = readStream(orBackground(ctx), s, info, func(*space, *entryReader) error { return nil })
	}
	info.Duration = time.Since(began)
	return info, wrap("verify backup", err)
}
