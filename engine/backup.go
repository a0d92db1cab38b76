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
	Keyspaces int
	Entries   uint64
	Bytes     int64  // of the stream
	Seq       uint64 // sequence number of the newest operation in it
	Time      time.Time
	Duration  time.Duration
}

// BackupOptions are the settings of Backup.
type BackupOptions struct {
	// Progress, when not nil, is called now and then from the goroutine that
	// called Backup.
	Progress func(BackupInfo)
}

// Backup writes the database as of one moment to w: one stream with its own
// checksums, which Restore and VerifyBackup read. Readers and writers go on
// meanwhile. A stream that was not written to its end is never taken for a
// whole one.
func (db *DB) Backup(ctx context.Context, w io.Writer, o *BackupOptions) (BackupInfo, error) {
	ctx = orBackground(ctx)
	began := time.Now()
	s, err := db.Snapshot()
	if err != nil {
		return BackupInfo{}, err
	}
	defer s.Close()
	info := BackupInfo{Seq: s.Seq(), Time: began}
	out, err := newStreamWriter(w, streamHeader{uuid: s.view.v.pager.Meta().UUID, seq: info.Seq, time: began.Unix()})
	if err != nil {
		return info, errorf("backup: %w", err)
	}
	step := func() error {
		info.Bytes, info.Duration = out.written, time.Since(began)
		if o != nil && o.Progress != nil {
			o.Progress(info)
		}
		return ctx.Err()
	}
	for _, sp := range s.view.v.spaces.list() {
		if err := out.put(blockKeyspace, encodeStreamSpace(sp)); err != nil {
			return info, errorf("backup: %w", err)
		}
		info.Keyspaces++
		if err := backupSpace(s, sp, out, &info.Entries, step); err != nil {
			return info, wrap("backup", err)
		}
	}
	end := binary.LittleEndian.AppendUint64(nil, info.Entries)
	end = binary.LittleEndian.AppendUint64(end, uint64(info.Keyspaces))
	if err := out.put(blockEnd, end); err != nil {
		return info, errorf("backup: %w", err)
	}
	if err := out.w.Flush(); err != nil {
		return info, errorf("backup: %w", err)
	}
	return info, step()
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

// stepEntries is how many entries are handled between looks at the context.
const stepEntries = 4096

func backupSpace(s *Snapshot, sp *space, out *streamWriter, entries *uint64, step func() error) error {
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
		if *entries++; *entries%stepEntries == 0 {
			if err := step(); err != nil {
				return err
			}
		}
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

// readStream reads a stream to its end and checks all of it.
func readStream(ctx context.Context, r io.Reader, begin func(streamHeader) error, visit func(sp *space, entries *entryReader) error) (BackupInfo, error) {
	began := time.Now()
	s, h, err := newStreamReader(r)
	if err != nil {
		return BackupInfo{}, err
	}
	info := BackupInfo{Seq: h.seq, Time: time.Unix(h.time, 0)}
	if err := begin(h); err != nil {
		return info, err
	}
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
		return info, streamDamage(s.offset, "the stream's end does not agree with what came before")
	}
	if !s.atEnd() {
		return info, streamDamage(s.offset, "more bytes follow the stream's end")
	}
	info.Bytes, info.Duration = s.offset, time.Since(began)
	return info, nil
}

// VerifyBackup reads a backup stream to its end and checks every byte of it.
func VerifyBackup(ctx context.Context, r io.Reader) (BackupInfo, error) {
	info, err := readStream(orBackground(ctx), r, func(streamHeader) error { return nil }, func(*space, *entryReader) error { return nil })
	return info, wrap("verify backup", err)
}
