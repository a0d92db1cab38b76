package main

import (
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// zeros are so many of them.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), int64(*z))
	clear(p[:n])
	*z -= zeros(n)
	return int(n), nil
}

// A file that is small and decompresses to a great deal takes no more memory
// than any other: not what it would become.
func TestBombs(t *testing.T) {
	const size = 1 << 30
	limit := int64(64 << 20)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		limit *= 4 // the race detector takes memory of its own
	}
	dir := t.TempDir()
	pack := func(name string, packed func(io.Writer) (io.WriteCloser, error)) string {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w, err := packed(f)
		if err != nil {
			t.Fatal(err)
		}
		z := zeros(size)
		if _, err := io.Copy(w, &z); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	files := []string{
		pack("zeros.gz", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }),
		pack("zeros.zst", func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithWindowSize(8<<20), zstd.WithEncoderLevel(zstd.SpeedFastest))
		}),
		filepath.Join(dir, "window.zst"), // a frame that asks for a window of 1 TiB
	}
	if err := os.WriteFile(files[2], []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 30 << 3, 1, 0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, args := range [][]string{
			{"import", "new.db", file, "--from", "csv", "--key", "a"},
			{"import", "new.db", file, "--from", "tsv", "--key", "a"},
			{"import", "new.db", file, "--from", "jsonl", "--key", "a"},
			{"import", "new.db", file, "--from", "json", "--key", "a"},
			{"restore", "new.db", file},
			{"verify", file},
		} {
			cmd := exec.Command("lightning", args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("%v: no error\n%s", args, out)
			}
			if used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10; used > limit {
				t.Errorf("%v: took %d bytes of memory\n%s", args, used, out)
			}
		}
	}
}
