package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lightning-db/lightning/engine"
	"github.com/lightning-db/lightning/engine/vfs"
	"github.com/lightning-db/lightning/internal/figure"
)

var goldenUpdate = flag.Bool("golden.update", false, "TestGolden writes the databases of today's format anew; those of older formats stay for ever")

// goldenDir holds databases of every format that was released: a directory for
// each version of btree.db, in it one for each database, with its files and,
// beside them, what it holds (contents).
var goldenDir = filepath.Join("testdata", "golden")

// Every database of every released format opens, holds what it held, keeps every
// promise of its format, takes writes, and keeps them.
func TestGolden(t *testing.T) {
	if *goldenUpdate {
		writeGolden(t)
	}
	dirs, err := filepath.Glob(filepath.Join(goldenDir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		t.Run(filepath.ToSlash(strings.TrimPrefix(dir, goldenDir))[1:], func(t *testing.T) {
			disk, hist := loadGolden(t, dir)
			tree := treeBytes(t, disk)
			if have, want := binary.LittleEndian.Uint32(tree[8:]), filepath.Base(filepath.Dir(dir)); fmt.Sprint(have) != want {
				t.Fatalf("its format is %d, want %s", have, want)
			}
			if err := checkDatabase(disk, dbDir); err != nil {
				t.Errorf("verify: %v", err)
			}
			goldenHolds(t, disk.Clone(), hist.last(), engine.Options{ReadOnly: true})
			goldenHolds(t, disk, hist.last(), engine.Options{})

			db := openOn(t, disk)
			edits := []edit{put("written later", "1"), del(hist.last().keys("")[0])}
			if err := applyEdits(db, edits); err != nil {
				t.Fatal(err)
			}
			hist.add(edits, 0, 0)
			if _, err := db.Compact(context.Background()); err != nil {
				t.Fatal(err)
			}
			closeDB(t, db)
			goldenHolds(t, disk, hist.last(), engine.Options{})
			if err := checkDatabase(disk, dbDir); err != nil {
				t.Errorf("verify, after a write: %v", err)
			}
		})
	}
	figure.Log(t, "databases", len(dirs))
}

// There are databases of the format that is written today: who changes it keeps
// those of the old one.
func TestGolden_HasTodaysFormat(t *testing.T) {
	disk := vfs.NewMem()
	closeDB(t, openOn(t, disk))
	version := binary.LittleEndian.Uint32(treeBytes(t, disk)[8:])
	dirs, err := filepath.Glob(filepath.Join(goldenDir, fmt.Sprint(version), "*"))
	if err != nil || len(dirs) < 3 {
		t.Errorf("%d databases of format %d in testdata, %v; write them: go test ./engine -run '^TestGolden$' -golden.update", len(dirs), version, err)
	}
}

func goldenHolds(t *testing.T, disk *vfs.Mem, want *commit, o engine.Options) {
	t.Helper()
	o.FS = disk
	db, err := engine.Open(dbDir, &o)
	if err != nil {
		t.Fatal(err)
	}
	if err := want.compare(db, nil); err != nil {
		t.Error(err)
	}
	closeDB(t, db)
}

// loadGolden reads a database and what it holds.
func loadGolden(t *testing.T, dir string) (*vfs.Mem, *history) {
	t.Helper()
	disk, hist := vfs.NewMem(), newHistory()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "contents" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return disk.WriteFile(dbDir+"/"+filepath.ToSlash(strings.TrimPrefix(name, dir)[1:]), data)
	})
	text, readErr := os.ReadFile(filepath.Join(dir, "contents"))
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	var edits []edit
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var words [3]string
		for i, word := range strings.SplitN(lines.Text(), "\t", 3) {
			if words[i], err = strconv.Unquote(word); err != nil {
				t.Fatalf("%s: %q: %v", dir, word, err)
			}
		}
		if words[0] != "" && hist.last().contents[words[0]] == nil {
			hist.add([]edit{{kind: engine.OpCreateKeyspace, keyspace: words[0]}}, 0, 0)
		}
		edits = append(edits, put(words[1], words[2]).in(words[0]))
	}
	hist.add(edits, 0, 0)
	return disk, hist
}

// writeGolden writes the specimens.
func writeGolden(t *testing.T) {
	t.Helper()
	for _, sp := range []*specimen{settledSpecimen(t), uncleanSpecimen(t), runsSpecimen(t)} {
		version := binary.LittleEndian.Uint32(treeBytes(t, sp.disk)[8:])
		dir := filepath.Join(goldenDir, fmt.Sprint(version), sp.name)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{}
		for _, name := range sp.disk.Names() {
			data, err := sp.disk.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if base := filepath.Base(name); !strings.HasPrefix(base, "LOCK") {
				files[strings.TrimPrefix(filepath.ToSlash(name), "/"+dbDir+"/")] = data
			}
		}
		var text bytes.Buffer
		last := sp.hist.last()
		for _, space := range slices.Sorted(maps.Keys(last.contents)) {
			for _, key := range last.keys(space) {
				fmt.Fprintf(&text, "%q\t%q\t%q\n", space, key, last.contents[space][key])
			}
		}
		files["contents"] = text.Bytes()
		for name, data := range files {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
