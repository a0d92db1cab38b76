package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/lightning-db/lightning/internal/figure"
)

// repeated is a text as often as it takes to be so long.
type repeated struct {
	text string
	n    int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n <= 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = r.text[i%len(r.text)]
	}
	r.text = r.text[len(p)%len(r.text):] + r.text[:len(p)%len(r.text)]
	r.n -= len(p)
	return len(p), nil
}

func init() { testCommands["lightning-peak"] = runPeak }

// runPeak runs lightning and says how many bytes of memory it had at most. The
// kernel counts among those of a process what its parent has when it is started:
// hence a parent that has little.
func runPeak() {
	cmd := exec.Command("lightning", os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	_ = cmd.Run()
	fmt.Fprintf(os.Stderr, "peak %d\n", cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
	os.Exit(cmd.ProcessState.ExitCode())
}

// A file that is small and decompresses to a great deal takes no more memory
// than any other: not what it would become. Below a larger scale each file meets
// every third command.
func TestBombs(t *testing.T) {
	const size = 32 << 20
	limit := int64(32 << 20)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		limit *= 4 // the race detector takes memory of its own
	}
	dir := t.TempDir()
	pack := func(name, text string, packed func(io.Writer) (io.WriteCloser, error)) string {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w, err := packed(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, &repeated{text, size}); err != nil {
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
		filepath.Join(dir, "window.zst"), // a frame that asks for a window of 1 TiB
		pack("zeros.gz", "\x00", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }),
	}
	for _, bomb := range [][2]string{{"zeros", "\x00"}, {"letters", "a"}, {"quotes", `"`}, {"rows", "\"\n"}, {"commas", ","}, {"braces", "{"}, {"fields", `"":0,`}} {
		name, text := bomb[0], bomb[1]
		files = append(files, pack(name+".zst", text, func(w io.Writer) (io.WriteCloser, error) {
			if text == `"":0,` {
				_, _ = io.WriteString(w, "[{")
			}
			return zstd.NewWriter(w, zstd.WithWindowSize(8<<20), zstd.WithEncoderLevel(zstd.SpeedFastest))
		}))
	}
	if err := os.WriteFile(files[0], []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 30 << 3, 1, 0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		for j, args := range [][]string{
			{"import", "new.db", file, "--from", "csv", "--key", "a"},
			{"import", "new.db", file, "--from", "tsv", "--key", "a"},
			{"import", "new.db", file, "--from", "jsonl", "--key", "a"},
			{"import", "new.db", file, "--from", "json", "--key", "a"},
			{"import", "new.db", file, "--from", "resp"},
			{"import", "new.db", file, "--from", "pairs", "--dry-run"},
			{"batch", "new.db", file},
			{"restore", "new.db", file},
			{"verify", file},
		} {
			if figure.Scale() <= 1 && (i+j)%3 != 0 {
				continue
			}
			cmd := exec.Command("lightning-peak", args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err == nil && filepath.Base(file) != "rows.zst" { // those are good ones of --from pairs
				t.Errorf("%v: no error\n%s", args, out)
			}
			var used int64
			if _, err := fmt.Sscanf(string(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]), "peak %d", &used); err != nil || used > limit {
				t.Errorf("%v: took %d bytes of memory, %v\n%s", args, used, err, out)
			}
		}
	}
}
