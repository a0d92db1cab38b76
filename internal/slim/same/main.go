// Same prints what the dependencies that slim edits do, where it edits them. The
// test of slim builds it with the originals and with the copies, and compares.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/chzyer/readline"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"
)

func main() {
	commands()
	locales()
	streams()
	lines()
}

// commands prints help, completions and errors.
func commands() {
	for _, name := range []string{"tool", "a-b.c", "größe"} {
		for _, args := range [][]string{
			{"--help"},
			{"help", "do"},
			{"do", "-h"},
			{"--version"},
			{"d0"},
			{"do", "--nothing"},
			{"do", "--times", "x"},
			{"do", "--each", "a,\"b"},
			{"do", "--times", "2", "--each", "a,b"},
			{"completion", "bash"},
			{"completion", "zsh"},
			{"completion", "fish"},
			{"completion", "powershell"},
			{"__complete", "d"},
			{"__complete", "do", "--"},
			{"__complete", "do", ""},
		} {
			for _, variable := range []string{"", "TOOL", "A_B_C", "GR__E"} {
				if variable != "" {
					os.Setenv(variable+"_COMPLETION_DESCRIPTIONS", "false")
				}
				err := command(name).run(args)
				fmt.Printf("%s %q %q: %v\n", name, args, variable, err)
				os.Unsetenv(variable + "_COMPLETION_DESCRIPTIONS")
			}
		}
	}
}

type tool struct{ *cobra.Command }

func command(name string) tool {
	root := &cobra.Command{Use: name, Version: "1", Short: "a tool", Long: "A tool, at length."}
	do := &cobra.Command{
		Use: "do THING", Short: "do it", Long: "Do it, at length.", Example: "  do nothing",
		ValidArgs: []string{"one\tthe first", "two\tthe second"},
		Args:      cobra.MaximumNArgs(1),
		Run:       func(cmd *cobra.Command, args []string) { fmt.Println("done", args) },
	}
	do.Flags().IntP("times", "t", 0, "how often")
	do.Flags().StringSlice("each", nil, "for `each` of these")
	do.Flags().Bool("dry", true, "only say what")
	do.Flags().Duration("wait", 0, "before it")
	do.Flags().String("name", "", "its name")
	root.AddCommand(do)
	return tool{root}
}

func (t tool) run(args []string) error {
	t.SetOut(os.Stdout)
	t.SetErr(os.Stdout)
	t.SetArgs(args)
	return t.Execute()
}

// locales prints where the characters of East Asia are wide.
func locales() {
	for _, language := range []string{"", "j", "ja", "ko", "zh", "de", "jaa", "jaaa", "Ja", "j1", "*", "[a]", "ja_", "C", "POSIX", "UTF-8", "eucjp"} {
		for _, country := range []string{"", "_", "_J", "_JP", "_JPN", "_jp", "_JP_KR", "-JP"} {
			for _, charset := range []string{"", ".", ".UTF-8", ".utf8", ".eucJP", ".sjis.x", ".big5@cjk_narrow", ".gbk@x", ".gbk\nx", ".\ngbk", "..gbk", "@gbk"} {
				os.Setenv("LC_ALL", language+country+charset)
				fmt.Printf("%q %v\n", language+country+charset, runewidth.IsEastAsian())
			}
		}
	}
	fmt.Println(runewidth.StringWidth("größe 東京 👩‍🚀"), runewidth.Truncate("東京 and more", 6, "…"))
}

// streams prints what is written for texts that compress well and badly.
func streams() {
	for _, size := range []int{0, 1, 1000, 3_000_000} {
		text := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog.", size/44+1))[:size]
		noise := make([]byte, size)
		for i, x := 0, uint32(1); i < size; i++ {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			noise[i] = byte(x)
		}
		for _, data := range [][]byte{text, noise} {
			var b bytes.Buffer
			w := s2.NewWriter(&b, s2.WriterConcurrency(1), s2.WriterAddIndex())
			show("s2", data, &b, w, func() io.Reader { return s2.NewReader(&b) })

			for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault} {
				z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithEncoderPadding(1))
				fmt.Println(err)
				frames(z, data)
			}

			// Padding from the caller's own source is there with both.
			w = s2.NewWriter(&b, s2.WriterPadding(4096), s2.WriterPaddingSrc(strings.NewReader(strings.Repeat("x", 8192))))
			show("s2 padded", data, &b, w, func() io.Reader { return s2.NewReader(&b) })
		}
	}
	_, err := s2.Decode(nil, []byte("\xff\xffgarbage"))
	fmt.Println(err)
	_, err = io.ReadAll(s2.NewReader(strings.NewReader("garbage")))
	fmt.Println(err)
}

// frames prints what is made of one frame, and of several and what is wrong with
// them, by each way to read them.
func frames(z *zstd.Encoder, data []byte) {
	packed := z.EncodeAll(data, nil)
	fmt.Printf("%x\n", sha256.Sum256(packed))
	for _, n := range []int{100, 10_000, 100_000, 128 << 10, 1 << 20} {
		fmt.Printf("%d %x\n", n, sha256.Sum256(z.EncodeAll(data[:min(n, len(data))], nil)))
	}
	several := z.EncodeAll(data[:len(data)/2], bytes.Clone(packed))
	flipped := bytes.Clone(several)
	flipped[len(flipped)/3] ^= 1
	// The header of a frame that needs dictionary 7.
	dictionary := []byte("\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00x")
	all, err := zstd.NewReader(nil)
	fmt.Println(err)
	for _, packed := range [][]byte{packed, several, several[:len(several)-1], flipped, dictionary, nil} {
		back, err := all.DecodeAll(packed, nil)
		fmt.Printf("%x %v\n", sha256.Sum256(back), err)

		// A reader that is a bytes.Buffer is not read as a stream.
		for _, r := range []io.Reader{bytes.NewBuffer(packed), io.MultiReader(bytes.NewReader(packed))} {
			s, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
			fmt.Println(err)
			back, err = io.ReadAll(s)
			fmt.Printf("%x %v\n", sha256.Sum256(back), err)
			s.Close()
		}
	}
}

func show(name string, data []byte, b *bytes.Buffer, w io.WriteCloser, reader func() io.Reader) {
	_, err := w.Write(data)
	fmt.Println(name, err, w.Close(), b.Len())
	fmt.Printf("%x\n", sha256.Sum256(b.Bytes()))
	back, err := io.ReadAll(reader())
	fmt.Println(err, bytes.Equal(back, data))
	b.Reset()
}

// lines prints what the line editor makes of keys, and what it shows.
func lines() {
	var shown bytes.Buffer
	typed := strings.NewReader("one two\x01x\x05y\r" + // Home and End
		"three four\x1b[D\x1bb\x1b[3~\x17z\r" + // an arrow, words, and Delete
		"app\t b\x08\x0b\x19\x14\x15é世界\r" + // a tab, kill and yank
		strings.Repeat("long ", 20) + "\x01\x1bf!\r" + // more than a line
		"given up\x03\x04")
	rl, err := readline.NewEx(&readline.Config{
		Prompt: "> ", Stdin: io.NopCloser(typed), Stdout: &shown, Stderr: &shown, ForceUseInteractive: true,
		FuncGetWidth: func() int { return 40 }, FuncOnWidthChanged: func(func()) {},
		FuncMakeRaw: func() error { return nil }, FuncExitRaw: func() error { return nil },
		Painter: unpainted{},
	})
	for err == nil || err == readline.ErrInterrupt {
		var line string
		line, err = rl.Readline()
		fmt.Printf("%q %v\n", line, err)
	}
	fmt.Printf("%q\n", shown.String())
}

type unpainted struct{}

func (unpainted) Paint(line []rune, _ int) []rune { return line }
