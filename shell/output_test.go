package shell

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What does not fit goes to the pager at once, also where a line has no end: a
// value of a gigabyte is not kept.
func TestPager_LineWithoutEnd(t *testing.T) {
	s, _, _ := newSession(t)
	shown := filepath.Join(t.TempDir(), "shown")
	s.Settings["pager"] = "cat >'" + shown + "'"
	p := &pager{session: s, width: 10, height: 3}
	for i, text := range []string{"a row\n", strings.Repeat("x", 20), "y"} {
		if _, err := p.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if paged := p.pipe != nil; paged != (i == 2) {
			t.Errorf("behind %q: paged %v", text, paged)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if have, err := os.ReadFile(shown); err != nil || string(have) != "a row\n"+strings.Repeat("x", 20)+"y" {
		t.Errorf("the pager has %q, %v", have, err)
	}
}

// A pager that is not there loses no answer, and is named.
func TestPager_Unknown(t *testing.T) {
	for _, line := range []string{"no-such-pager", "no-such-pager -R", "/no/such/pager +1"} {
		s, _, _ := newSession(t)
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		errs, err := os.Create(out.Name() + ".errs")
		if err != nil {
			t.Fatal(err)
		}
		defer errs.Close()
		s.Out, s.Err, s.Settings["pager"] = out, errs, line
		p := &pager{session: s, out: out, width: 10, height: 2}
		const text = "one\ntwo\nthree\n"
		if _, err := p.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		shown, err := os.ReadFile(out.Name())
		said, err2 := os.ReadFile(errs.Name())
		name, _, _ := strings.Cut(line, " ")
		if string(shown) != text || string(said) != "there is no pager "+name+"\n" {
			t.Errorf("%s: %q, %v, %q, %v", line, shown, err, said, err2)
		}
	}
}

// Where nothing says which characters there are, less is to take UTF-8.
func TestCommand_Charset(t *testing.T) {
	s, _, _ := newSession(t)
	for _, name := range []string{"LESSCHARSET", "LC_ALL", "LC_CTYPE", "LANG"} {
		t.Setenv(name, "")
	}
	for _, said := range []string{"", "LESSCHARSET", "LC_ALL", "LC_CTYPE", "LANG"} {
		want := "utf-8"
		if said != "" {
			t.Setenv(said, "C")
			if want = ""; said == "LESSCHARSET" {
				want = "C"
			}
		}
		shown := filepath.Join(t.TempDir(), "shown")
		c, err := s.command("printf %s \"$LESSCHARSET\" >'" + shown + "'")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if have, err := os.ReadFile(shown); err != nil || string(have) != want {
			t.Errorf("%s: LESSCHARSET is %q, %v", said, have, err)
		}
		if said != "" {
			t.Setenv(said, "")
		}
	}
}
