package dump

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRESP_ReadsCommands(t *testing.T) {
	for file, want := range map[string]string{
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nv\r\n\x00\xff\r\n*3\r\n$3\r\nset\r\n$0\r\n\r\n$0\r\n\r\n":             ` "k"="v\r\n\x00\xff"; ""="";`,
		"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\nSET c d\r\n\r\nset  e\t\"\" \n": ` "a"="b"; "c"="d"; "e"="";`,
		`SET "a\x00\n\"\q" 'it\'s \n'` + "\nSET a\"b c":                                                            "",
		`SET "a\x00\n\"\q" 'it\'s \n'` + "\nSET k \\x00":                                                           ` "a\x00\n\"q"="it's \\n"; "k"="\\x00";`,
		"#TS:1628217473\r\nSET a b\n":                                                                              ` "a"="b";`,
		"":                                                                                                         "",
	} {
		have, err := readSpaces(file, RESP)
		if want == "" && file != "" {
			if err == nil {
				t.Errorf("%q: have %s, want an error", file, have)
			}
			continue
		}
		if err != nil || have != want {
			t.Errorf("%q: have %s, %v, want %s", file, have, err, want)
		}
	}
}

func TestRESP_SaysWhatIsBad(t *testing.T) {
	for file, want := range map[string]string{
		"DEL k\nSET a b\n":         "line 1: the command DEL: only SET is imported",
		"SET k v EX 10\nSET a b\n": "line 1: SET with EX: only a key and a value",
		"SET k\nSET a b\n":         "line 1: SET wants a key and a value",
		"SET k \"v\nSET a b\n":     "line 1: the quotes of the command are not closed",
		"SET k \"v\"w\nSET a b\n":  "line 1: the quotes of the command are not closed",
		"*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\nSELECT 0\r\nSET a b\n": "line 1: SELECT in database 1: only database 0 is imported",
		"*1\r\n$8\r\nFLUSH\r\nX\r\nSET a b\n":                    `line 1: the command "FLUSH\r\nX"`,
	} {
		r, err := NewReader(strings.NewReader(file), RESP, ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Read()
		var bad *RowError
		if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: have %v, want %s", file, err, want)
		}
		if _, err := r.Read(); err != nil {
			t.Errorf("%q: behind the bad command: %v", file, err)
		}
	}
	for _, file := range []string{
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n", "*3\r\n$3\r\nSE", "*x\r\n", "*-1\r\n", "*9999999999\r\n", "*1\r\n$99999999999999999999\r\n",
		"*1\r\n+OK\r\n", "*1\r\n$2\r\nabc\r\n", "REDIS0011\xfa", "*1\r\n$2147483000\r\nab",
	} {
		_, err := readSpaces(file, RESP)
		var whole *InputError
		if !errors.As(err, &whole) {
			t.Errorf("%q: have %v, want an InputError", file, err)
		}
	}
}

// The keys of other databases may be those of the first.
func TestRESP_TakesOneDatabase(t *testing.T) {
	r, err := NewReader(strings.NewReader("SELECT 0\nSET a 0\nSELECT 1\nSET a 1\nSELECT 0\nSET b 0\n"), RESP, ReaderOptions{})
	have := ""
	for err == nil {
		var rec *Record
		rec, err = r.Read()
		switch bad := (*RowError)(nil); {
		case errors.As(err, &bad):
			have += err.Error() + "; "
			err = nil
		case err == nil:
			key, _ := rec.Key()
			have += string(key) + "; "
		}
	}
	if want := "a; line 3: SELECT in database 1: only database 0 is imported; line 4: SET in database 1: only database 0 is imported; b; "; have != want || err != io.EOF {
		t.Errorf("have %s, %v, want %s", have, err, want)
	}
}

func FuzzReaders_EndWithoutPanic(f *testing.F) {
	f.Add([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nSET a \"b\\x00\"\n"))
	f.Add([]byte("VERSION=3\nformat=print\nHEADER=END\n a\n \\00\nDATA=END\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, format := range []Format{RESP, DBDump, Pairs} {
			r, err := NewReader(strings.NewReader(string(file)), format, ReaderOptions{})
			for n := 0; err == nil; n++ {
				if n > 2*len(file)+2 {
					t.Fatalf("%s: there is no end", format)
				}
				if _, err = r.Read(); err == io.EOF {
					break
				}
				var bad *RowError
				if errors.As(err, &bad) {
					err = nil
				}
			}
		}
	})
}
