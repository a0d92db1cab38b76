package dump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// boltFile writes a file with bbolt.
func boltFile(t testing.TB, pageSize int, fill func(*bbolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "my.bbolt")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: pageSize})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(fill); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// readBolt returns the records of a file, one a line, sorted.
func readBolt(file []byte) ([]string, error) {
	r, err := NewBoltReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	var have []string
	for {
		rec, err := r.Read()
		if err == io.EOF {
			sort.Strings(have)
			return have, nil
		}
		if err != nil {
			return have, err
		}
		key, err1 := rec.Key()
		value, _, err2 := rec.Value()
		if err := errors.Join(err1, err2); err != nil {
			return have, err
		}
		have = append(have, fmt.Sprintf("%s %x=%x", rec.Space, key, value))
	}
}

// Buckets in buckets, inline and not, empty ones, branches of several levels,
// values of many pages, and what was changed and deleted: as bbolt has it.
func TestBolt_ReadsWhatBboltWrites(t *testing.T) {
	for _, pageSize := range []int{1024, 4096, 16384} {
		rnd := rand.New(rand.NewPCG(1, uint64(pageSize)))
		var want []string
		file := boltFile(t, pageSize, func(tx *bbolt.Tx) error {
			for _, path := range [][]string{{"users"}, {"users", "by name"}, {"users", "by name", "deep"}, {"empty"}, {"small"}} {
				b, err := tx.CreateBucketIfNotExists([]byte(path[0]))
				space := path[0]
				for _, name := range path[1:] {
					if err == nil {
						b, err = b.CreateBucketIfNotExists([]byte(name))
					}
					space += "/" + name
				}
				if err != nil {
					return err
				}
				n := map[string]int{"users": 5000, "users/by name": 700, "users/by name/deep": 3, "small": 2}[space]
				for i := range n {
					value := make([]byte, rnd.IntN(60))
					if i%500 == 1 {
						value = make([]byte, rnd.IntN(100_000))
					}
					for j := range value {
						value[j] = byte(rnd.Uint32())
					}
					key := binary.BigEndian.AppendUint64([]byte("k"), rnd.Uint64())
					if err := b.Put(key, value); err != nil {
						return err
					}
					if i%7 == 3 {
						if err := b.Delete(key); err != nil {
							return err
						}
						continue
					}
					want = append(want, fmt.Sprintf("%s %x=%x", space, key, value))
				}
			}
			return nil
		})
		sort.Strings(want)
		have, err := readBolt(file)
		if err != nil || len(have) != len(want) {
			t.Fatalf("pages of %d: have %d records, %v, want %d", pageSize, len(have), err, len(want))
		}
		for i := range want {
			if have[i] != want[i] {
				t.Fatalf("pages of %d: have %s, want %s", pageSize, have[i], want[i])
			}
		}

		// The other meta is an older moment; with neither there is no file.
		damaged := bytes.Clone(file)
		newer := 0
		if binary.LittleEndian.Uint64(file[16+48:]) < binary.LittleEndian.Uint64(file[pageSize+16+48:]) {
			newer = pageSize
		}
		damaged[newer+16+20] ^= 1
		if older, err := readBolt(damaged); err != nil || len(older) != 0 {
			t.Errorf("pages of %d, without the newer meta: have %d records, %v, want those of the empty file", pageSize, len(older), err)
		}
		damaged[pageSize-newer+16+20] ^= 1
		var whole *InputError
		if _, err := readBolt(damaged); !errors.As(err, &whole) {
			t.Errorf("pages of %d, without metas: have %v", pageSize, err)
		}
		if _, err := readBolt(file[:len(file)/2]); !errors.As(err, &whole) {
			t.Errorf("pages of %d, the half of it: have %v", pageSize, err)
		}
	}
}

// A bucket in a bucket and one with a slash in its name do not become one
// keyspace.
func TestBolt_TwoBucketsOfOneName(t *testing.T) {
	file := boltFile(t, 1024, func(tx *bbolt.Tx) error {
		a, err := tx.CreateBucket([]byte("a"))
		if err == nil {
			_, err = a.CreateBucket([]byte("b"))
		}
		if err == nil {
			_, err = tx.CreateBucket([]byte("a/b"))
		}
		return err
	})
	r, err := NewBoltReader(bytes.NewReader(file), int64(len(file)))
	for err == nil {
		_, err = r.Read()
	}
	if !strings.Contains(err.Error(), "two buckets would be the keyspace a/b") {
		t.Error(err)
	}
}

func smallBolt(t testing.TB) []byte {
	return boltFile(t, 1024, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		if err != nil {
			return err
		}
		for i := range 60 {
			if err := b.Put(fmt.Appendf(nil, "key%04d", i), bytes.Repeat([]byte{'v'}, i*7)); err != nil {
				return err
			}
		}
		in, err := tx.CreateBucket([]byte("inline"))
		if err != nil {
			return err
		}
		return in.Put([]byte("k"), []byte("v"))
	})
}

// TestBolt_Hostile flips every byte of a small file: what comes is bounded by
// the size of the file, and is an end or an error.
func TestBolt_Hostile(t *testing.T) {
	file := smallBolt(t)
	most := len(file) // of keys and values
	for i := range file {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			file[i] ^= flip
			checkBounded(t, file, most)
			file[i] ^= flip
		}
	}
}

func checkBounded(t *testing.T, file []byte, most int) {
	r, err := NewBoltReader(bytes.NewReader(file), int64(len(file)))
	n := 0
	for err == nil {
		var rec *Record
		if rec, err = r.Read(); err == nil {
			if n += len(rec.Source); n > most {
				t.Fatal("more bytes than the file has")
			}
		}
	}
}

func FuzzBolt(f *testing.F) {
	f.Add(smallBolt(f))
	f.Fuzz(func(t *testing.T, file []byte) {
		// The checksums of the metas are made right, or nothing else is tried.
		for _, at := range []int{0, 1024} {
			if len(file) >= at+16+64 {
				sealBoltMeta(file[at+16 : at+16+64])
			}
		}
		checkBounded(t, file, len(file))
	})
}

func sealBoltMeta(m []byte) {
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56])
	binary.LittleEndian.PutUint64(m[56:], sum.Sum64())
}
