package dump

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func readSpaces(file string, f Format) (string, error) {
	r, err := NewReader(strings.NewReader(file), f, ReaderOptions{})
	if err != nil {
		return "", err
	}
	have := ""
	for {
		rec, err := r.Read()
		if err == io.EOF {
			return have, nil
		}
		if err != nil {
			return have, err
		}
		key, _ := rec.Key()
		value, _, _ := rec.Value()
		have += fmt.Sprintf("%s %q=%q;", rec.Space, key, value)
	}
}

// What mdb_dump and db_dump write, in their versions.
func TestDBDump_ReadsOtherPrograms(t *testing.T) {
	for name, c := range map[string]struct {
		f          Format
		file, want string
	}{
		"mdb_dump": {
			DBDump,
			"VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=1048576\nmaxreaders=126\ndb_pagesize=4096\nHEADER=END\n 61\n 62\n \n FF0a\nDATA=END\n",
			` "a"="b"; ""="\xff\n";`,
		},
		"mdb_dump -p": {
			DBDump,
			"VERSION=3\nformat=print\ndatabase=one\ntype=btree\nHEADER=END\n a b\n \\5c\\\\\\0a\nDATA=END\nVERSION=3\nformat=print\ndatabase=two\ntype=btree\nHEADER=END\n k\n v\nDATA=END\n",
			`one "a b"="\\\\\n";two "k"="v";`,
		},
		"db_dump, carriage returns":   {DBDump, "VERSION=3\r\nformat=print\r\ntype=hash\r\nh_nelem=1\r\nHEADER=END\r\n k\r\n v\r\nDATA=END\r\n", ` "k"="v";`},
		"an empty database, another":  {DBDump, "VERSION=3\nformat=print\nHEADER=END\nDATA=END\n\nVERSION=3\ndatabase=b\nHEADER=END\n 6b\n 76\nDATA=END\n", `b "k"="v";`},
		"pairs":                       {Pairs, "a\nb\n\\00\n\n", ` "a"="b"; "\x00"="";`},
		"pairs that look like a dump": {Pairs, "VERSION=3\nDATA=END\n", ` "VERSION=3"="DATA=END";`},
		"dupsort without duplicates":  {DBDump, "VERSION=3\nformat=print\ndupsort=1\nHEADER=END\n k\n v\n l\n v\nDATA=END\n", ` "k"="v"; "l"="v";`},
	} {
		have, err := readSpaces(c.file, c.f)
		if err != nil || have != c.want {
			t.Errorf("%s: have %s, %v, want %s", name, have, err, c.want)
		}
	}
}

func TestDBDump_SaysWhatIsBad(t *testing.T) {
	const head = "VERSION=3\nformat=print\nHEADER=END\n"
	for _, c := range []struct {
		file, want string
		row        bool
	}{
		{"key\nvalue\n", "line 1: db_dump text begins with VERSION=3", false},
		{"", "db_dump text begins with VERSION=3, and here is none", false},
		{"\n", "db_dump text begins with VERSION=3, and here is none", false},
		{"VERSION=2\n", "line 1: db_dump text begins with VERSION=3", false},
		{"VERSION=3\nformat=print\n", "HEADER=END is missing", false},
		{"VERSION=3\nformat=base64\nHEADER=END\n", "line 2: bytevalue and print are known, no format base64", false},
		{"VERSION=3\ntype=recno\nHEADER=END\n", "line 2: no keys that are bytes are in a database of type recno", false},
		{"VERSION=3\nkeys=0\nHEADER=END\n", "line 2: a dump without keys", false},
		{"VERSION=3\n" + strings.Repeat("x=1\n", 20_000), "the header is too long", false},
		{head + " k\n v\n", "line 6: the dump has no end", false},
		{head + " k\n", "line 5: the dump has no end", false},
		{head + " k\nDATA=END\n", "line 5: a key without a value", false},
		{head + "k\n", "line 4: a key or value begins with a space", false},
		{head + "\n", "line 4: a key or value begins with a space", false},
		{head + " \\q\n v\n l\n w\nDATA=END\n", "line 4: bad line", true},
		{head + " k\n \\\n l\n w\nDATA=END\n", "line 4: bad line", true},
		{"VERSION=3\nHEADER=END\n 6\n 66\n 66\n 66\nDATA=END\n", "line 3: bad line: db_dump's format bytevalue has", true},
		{"VERSION=3\nHEADER=END\n 66\n zz\n 66\n 66\nDATA=END\n", "line 3: bad line: db_dump's format bytevalue has", true},
		{"VERSION=3\nformat=print\ndupsort=1\nHEADER=END\n k\n v\n k\n w\nDATA=END\n", "line 7: the key is there more than once", true},
	} {
		_, err := readSpaces(c.file, DBDump)
		var bad *RowError
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &bad) != c.row {
			t.Errorf("%q: have %v, want %s (of one record only: %v)", c.file, err, c.want, c.row)
		}
	}
	for _, file := range []string{"a\n", "a", "a\n" + strings.Repeat("long", 1<<17) + "\nb", "a\nb\nc"} {
		want := fmt.Sprintf("line %d: a key without a value", strings.Count(file, "\n")/2*2+2)
		if have, err := readSpaces(file, Pairs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pairs, cut off: have %.30s, %v, want %s", have, err, want)
		}
	}
}

func TestDBDump_SaysTheKeyspaceAndTheRoom(t *testing.T) {
	want := "VERSION=3\nformat=print\ndatabase=users\ntype=btree\nmapsize=1048576\nHEADER=END\n a\n \\5c\\00\\c3\\a9\nDATA=END\n"
	if have := string(write(t, DBDump, WriterOptions{Values: Quoted, Space: "users", Room: 1 << 20}, []entry{{[]byte("a"), []byte("\\\x00é")}})); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
	for _, o := range []WriterOptions{{Keys: Base64}, {Values: None}, {Keys: U64}} {
		if _, err := NewWriter(io.Discard, DBDump, o); err == nil {
			t.Errorf("%v: want an error", o)
		}
	}
}
