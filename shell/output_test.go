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
