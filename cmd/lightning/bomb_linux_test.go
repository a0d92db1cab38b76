package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
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

// sprinkled is the letter a, with any one instead in every so many places.
type sprinkled struct {
	r     *rand.Rand
	every int
	n     int
}

func (s *sprinkled) Read(p []byte) (int, error) {
	if s.n <= 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'a'
		if i%s.every == 0 {
			p[i] += byte(s.r.IntN(26))
		}
	}
	s.n -= len(p)
	return len(p), nil
}

// A file that is small and decompresses to a great deal takes no more memory
// than any other: not what it would become, be it packed a thousand to one or
// fifty. Below a larger scale each file meets every third command.
func TestBombs(t *testing.T) {
	const size = 64 << 20
	limit := int64(64e6)
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		limit *= 4 // the race detector takes memory of its own
	}
	dir := t.TempDir()
	asGzip := func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }
	asZstd := func(w io.Writer) (io.WriteCloser, error) {
		return zstd.NewWriter(w, zstd.WithWindowSize(8<<20), zstd.WithEncoderLevel(zstd.SpeedFastest))
	}
	pack := func(name string, text io.Reader, packed func(io.Writer) (io.WriteCloser, error)) string {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w, err := packed(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, text); err != nil {
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
		pack("zeros.gz", &repeated{"\x00", size}, asGzip),
	}
	for _, bomb := range [][2]string{{"zeros", "\x00"}, {"letters", "a"}, {"quotes", `"`}, {"rows", "\"\n"}, {"commas", ","}, {"braces", "{"}, {"fields", `"":0,`}} {
		name, text, head := bomb[0], bomb[1], ""
		if name == "fields" {
			head = "[{"
		}
		files = append(files, pack(name+".zst", io.MultiReader(strings.NewReader(head), &repeated{text, size}), asZstd))
	}
	if err := os.WriteFile(files[0], []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 30 << 3, 1, 0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func(args ...string) {
		t.Helper()
		cmd := exec.Command("lightning-peak", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err == nil && !slices.Contains(args, filepath.Join(dir, "rows.zst")) { // those are good ones of --from pairs
			t.Errorf("%v: no error\n%s", args, out)
		}
		var used int64
		if _, err := fmt.Sscanf(string(out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]), "peak %d", &used); err != nil || used > limit {
			t.Errorf("%v: took %d bytes of memory, %v\n%s", args, used, err, out)
		}
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
			check(args...)
		}
	}
	// Those that begin as records do, in each format, in runs and sprinkled.
	for i, c := range []struct{ from, head string }{
		{"csv", "key,value\nk,"},
		{"csv", "key,value\nk,\""},
		{"tsv", "key\tvalue\nk\t"},
		{"jsonl", `{"key":"k","value":"`},
		{"json", `[{"key":"k","value":"`},
		{"db_dump", "VERSION=3\nformat=print\nHEADER=END\n k\n "},
		{"pairs", "k\n"},
		{"resp", "SET k "},
		{"resp", fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", size)},
		{"batch", "put k "},
	} {
		texts := []io.Reader{&sprinkled{rand.New(rand.NewPCG(1, 2)), 130, size}, &repeated{"a", size}}
		if c.from == "csv" || c.from == "resp" {
			texts = append(texts, &repeated{"line\n", size})
		}
		for j, text := range texts {
			packed, name := asGzip, fmt.Sprintf("%s%d-%d.gz", c.from, i, j)
			if (i+j)%2 == 0 {
				packed, name = asZstd, fmt.Sprintf("%s%d-%d.zst", c.from, i, j)
			}
			file := pack(name, io.MultiReader(strings.NewReader(c.head), text), packed)
			if c.from == "batch" {
				check("batch", "new.db", file)
			} else {
				check("import", "new.db", file, "--from", c.from)
			}
		}
	}
	// Records that are not so long, of very many fields.
	object := "{" + strings.Repeat(`"":0,`, 8<<20/5-10) + "\"a\":1}\n"
	text := io.MultiReader(strings.NewReader(object), strings.NewReader(object), strings.NewReader(object))
	check("import", "new.db", pack("objects.gz", text, asGzip), "--from", "jsonl", "--on-error", "skip")
}
