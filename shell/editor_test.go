package shell

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// allKeys is what k reads, with what was pasted, and its text.
func allKeys(k *keys) (out string, pastes []string) {
	var b strings.Builder
	for buf := make([]byte, 3); ; {
		n, err := k.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String(), k.pastes
		}
	}
}

// What a terminal sends for keys, in pieces of one byte; and all at once, where it
// is the same text.
func TestKeys(t *testing.T) {
	for _, test := range []struct{ in, out, pasted string }{
		{in: "abc é\r", out: "abc é\r"},
		{in: "\x1b[1~\x1b[7~\x1b[4~\x1b[8~", out: "\x01\x01\x05\x05"},               // Home and End of tmux, screen, rxvt
		{in: "\x1b[H\x1b[F\x1bOH\x1bOF", out: "\x1b[H\x1b[F\x1bOH\x1bOF"},           // of xterm
		{in: "\x1b[A\x1b[D\x1bOA", out: "\x1b[A\x1b[D\x1bOA"},                       // arrows
		{in: "\x1b[1;5C\x1b[1;5D", out: "\x1bf\x1bb"},                               // Ctrl with them
		{in: "\x1b[3~", out: string(forward)},                                       // Delete, which is not Ctrl-D
		{in: "\x1b[15~\x1b[5~\x1b[1;2P\x1bOPa", out: "a"},                           // F5, page up, F1: nothing
		{in: "\x1b[[A\x1b[[Bb", out: "b"},                                           // F1 and F2 of a console
		{in: "a\x00\x0f\x16\x18\x1c\x1fb", out: "ab"},                               // Ctrl-Space, which is no end, and others
		{in: "\x1b\x00b", out: "b"},                                                 // with Alt, too
		{in: "\x1b[\x03", out: "\x03"},                                              // Ctrl-C behind Alt-[
		{in: "\x1bé\x1bb", out: "é\x1bb"},                                           // with no meaning
		{in: "\x1bb\x1b\x1bf", out: "\x1bb\x1bf"},                                   // Alt-b, Esc Alt-f
		{in: "a\x1b[200~b\x1b[201~c", out: "a" + string(pasted) + "c", pasted: "b"}, // a paste
		{in: "\x1b[200~a\rb\r\n\tc\n\n\x1b[201~", out: string(pasted), pasted: "a\nb\n\tc"},
		{in: "\x1b[200~a\x1b[31m\x03\x04\x7f\x1bxb\x1b[201~", out: string(pasted), pasted: "ab"}, // no keys are pasted
	} {
		out, pastes := allKeys(&keys{in: iotest.OneByteReader(strings.NewReader(test.in))})
		if have := strings.Join(pastes, "|"); out != test.out || have != test.pasted {
			t.Errorf("%q: have %q and pasted %q, want %q and %q", test.in, out, have, test.out, test.pasted)
		}
		out, pastes = allKeys(&keys{in: strings.NewReader(test.in)})
		for _, paste := range pastes {
			out = strings.Replace(out, string(pasted), paste, 1)
		}
		if want := strings.Replace(test.out, string(pasted), test.pasted, 1); out != want {
			t.Errorf("%q at once: have %q, want %q", test.in, out, want)
		}
	}
}

// Text that comes at once is one key, as what is pasted is, between the keys around
// it, and wherever a read of the terminal tears its characters.
func TestKeys_TextAtOnce(t *testing.T) {
	const p = string(pasted)
	for in, want := range map[string]string{
		"put é v\rx\x7fget é\r":               p + "\rx\x7f" + p + "\r put é v|get é",
		"ab\xc3|\xa9c\r":                      p + "\r abéc",
		"ab\x1b[200~cd\n\x1b[201~ef":          p + p + p + " ab|cd|ef",
		"ab\x1b[Dcd\x1bfe":                    p + "\x1b[D" + p + "\x1bfe ab|cd",
		"a|b":                                 "ab ",
		strings.Repeat("漢", 2000) + "|\uFFFD": p + "\uFFFD " + strings.Repeat("漢", 2000),
	} {
		var reads []io.Reader
		for part := range strings.SplitSeq(in, "|") {
			reads = append(reads, strings.NewReader(part))
		}
		out, pastes := allKeys(&keys{in: io.MultiReader(reads...)})
		if have := out + " " + strings.Join(pastes, "|"); have != want {
			t.Errorf("%.40q: have %.40q, want %.40q", in, have, want)
		}
	}
}

// The Delete key takes the character behind the cursor; a paste comes where the
// cursor is.
func TestEditor_OnChange(t *testing.T) {
	e := &editor{keys: &keys{pastes: []string{"xyz", "lost"}}}
	for _, test := range []struct {
		line string
		pos  int
		key  rune
		want string
		at   int
	}{
		{"ab" + string(pasted) + "cd", 3, pasted, "abxyzcd", 5},
		{"ab" + string(forward) + "cd", 3, forward, "abd", 2},
		{"ab" + string(forward), 3, forward, "ab", 2},
	} {
		line, at, ok := e.OnChange([]rune(test.line), test.pos, test.key)
		if string(line) != test.want || at != test.at || !ok {
			t.Errorf("%q: have %q %d %v", test.line, string(line), at, ok)
		}
	}
	if _, _, ok := e.OnChange([]rune("abc"), 2, 'b'); ok {
		t.Error("a key changes more than it is")
	}
	// In a search there is no place for it; and it does not come later.
	if _, _, ok := e.OnChange([]rune("abc"), 2, pasted); ok || e.keys.takePaste() != "" {
		t.Error("a paste is put where none was")
	}
}

// The history is for its owner alone, keeps the newest, and an item of several
// lines is one. A shell that shortens it takes nothing from others: what they
// added later had gone into a file that was no longer there.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "lightning", "history")
	private := func() {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v; want mode 0600", info.Mode(), err)
		}
	}
	h, items := openHistory(path)
	private()
	if len(items) > 0 {
		t.Fatalf("a new one has %q", items)
	}
	other, _ := openHistory(path)
	h.add(edited("one\ntwo"))
	other.add("three")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	h, items = openHistory(path)
	private()
	if len(items) != 2 || plain(items[0]) != "one\ntwo" || items[1] != "three" {
		t.Fatalf("have %q", items)
	}
	for i := range mostHistory + mostHistory/10 {
		h.add(fmt.Sprint("item ", i))
	}
	other, items = openHistory(path)
	h.add("of a shell that does not know of it")
	other.add("behind")
	private()
	last := fmt.Sprint("item ", mostHistory+mostHistory/10-1)
	if len(items) != mostHistory || items[mostHistory-1] != last {
		t.Errorf("%d items, the last %q", len(items), items[len(items)-1])
	}
	_, items = openHistory(path)
	if !slices.Equal(items[mostHistory-1:], []string{last, "of a shell that does not know of it", "behind"}) {
		t.Errorf("after it was shortened: %d items, the last %q", len(items), items[mostHistory-1:])
	}

	// Where there can be none, the shell works without.
	none, items := openHistory(filepath.Join(path, "below", "a", "file"))
	none.add("x")
	if items != nil {
		t.Errorf("have %q", items)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("files left: %v, %v", left, err)
	}
}
