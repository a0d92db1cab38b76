package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// flags is a file of a module such as those in the table.
const flags = `package flags

import (
	goflag "flag"
	"net"
	"strings"

	yaml "example.com/yaml/v3"
	"example.com/table/v2"
)

// Sets are the Go flags.
var Sets []*goflag.FlagSet

var (
	// Any is the address.
	Any  = net.IPv4zero
	a, b = 1, 2
)

// A Value is one flag.
type Value struct{ name string }

// String is upper case.
func (v *Value) String() string { return strings.ToUpper(v.name) }

func String() string {
	net := table.New()
	return net.Render(yaml.Marshal)
}
`

func TestEdits_ChangeOnlyWhatTheyName(t *testing.T) {
	for _, test := range []struct {
		edit edit
		gone []string // lines; those that stay keep their numbers
	}{
		{cut("f.go", "Sets"), []string{`goflag "flag"`, "// Sets are the Go flags.", "var Sets []*goflag.FlagSet"}},
		{cut("f.go", "Any"), []string{"// Any is the address.", "Any  = net.IPv4zero"}},
		{cut("f.go", "Value.String"), []string{`"strings"`, "// String is upper case.", "func (v *Value) String() string { return strings.ToUpper(v.name) }"}},
		{cut("f.go", "Value"), []string{
			`"strings"`, "// A Value is one flag.", "type Value struct{ name string }",
			"// String is upper case.", "func (v *Value) String() string { return strings.ToUpper(v.name) }",
		}},
		{cut("f.go", "String"), []string{
			"func String() string {", "net := table.New()", "return net.Render(yaml.Marshal)", "}",
			`yaml "example.com/yaml/v3"`,
		}},
		{swap("f.go", "\tnet := table.New()\n\treturn net.Render(yaml.Marshal)\n", ""), []string{
			"net := table.New()", "return net.Render(yaml.Marshal)", `yaml "example.com/yaml/v3"`,
		}},
		{drop("g.go"), nil},
	} {
		files, err := slimmed("example.com/m@v1", fstest.MapFS{"f.go": {Data: []byte(flags)}, "g.go": {}, "go.mod": {}}, []edit{test.edit})
		if err != nil {
			t.Errorf("%s: %v", test.edit.name, err)
			continue
		}
		if _, there := files["g.go"]; there == (test.edit.file == "g.go") {
			t.Errorf("%s: g.go is there: %t", test.edit.name, there)
		}
		have, gone := strings.Split(files["f.go"], "\n"), []string{}
		for i, line := range strings.Split(flags, "\n") {
			if have[i] == line {
				continue
			}
			gone = append(gone, strings.TrimSpace(line))
			if strings.TrimSpace(have[i]) != "" {
				t.Errorf("%s: line %d is %q", test.edit.name, i+1, have[i])
			}
		}
		slices.Sort(gone)
		slices.Sort(test.gone)
		if !slices.Equal(gone, test.gone) {
			t.Errorf("%s: gone are %q\nwant %q", test.edit.name, gone, test.gone)
		}
	}
}

func TestEdits_FailWhereTheyDoNotMatchOnce(t *testing.T) {
	for want, e := range map[string]edit{
		`f.go: swap "regexp": found 0 times, want 1`:                          swap("f.go", "regexp", ""),
		`f.go: swap "net": found 4 times, want 1`:                             swap("f.go", "net", ""),
		`f.go: cut Missing: Missing: declared 0 times, want 1`:                cut("f.go", "Missing"),
		`f.go: cut Value.Set: Value.Set: declared 0 times, want 1`:            cut("f.go", "Value.Set"),
		`f.go: cut a: a is declared together with other names`:                cut("f.go", "a"),
		`f.go: cut Any, Any: Any: declared 0 times, want 1`:                   cut("f.go", "Any", "Any"),
		`ip.go: drop: no such file`:                                           drop("ip.go"),
		`f.go: imports: 1:1: expected 'package', found packige`:               swap("f.go", "package", "packige"),
		`f_test.go: drop: no such file`:                                       drop("f_test.go"),
		`testdata/f.go: cut Any: no such file`:                                cut("testdata/f.go", "Any"),
		`f.go: swap "package flags\n\nimport \"net\"": found 0 times, want 1`: swap("f.go", "package flags\n\nimport \"net\"", ""),
	} {
		module := fstest.MapFS{
			"f.go": {Data: []byte(flags)}, "f_test.go": {Data: []byte(flags)}, "testdata/f.go": {Data: []byte(flags)},
		}
		_, err := slimmed("example.com/m@v1", module, []edit{e})
		if err == nil || err.Error() != "example.com/m@v1/"+want {
			t.Errorf("have %v\nwant %s", err, want)
		}
	}

	// A new version of a module shows all that it broke, not the first.
	_, err := slimmed("example.com/m@v1", fstest.MapFS{"f.go": {Data: []byte(flags)}}, []edit{drop("ip.go"), cut("f.go", "x", "y")})
	want := "m@v1/ip.go: drop: no such file\nm@v1/f.go: cut x, y: x: declared 0 times, want 1; y: declared 0 times, want 1"
	if err == nil || strings.ReplaceAll(err.Error(), "example.com/", "") != want {
		t.Errorf("have %v\nwant %s", err, want)
	}
}

// refused asks for what is gone.
const refused = `package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

func main() {
	w := s2.NewWriter(&bytes.Buffer{}, s2.WriterPadding(4096))
	w.Write([]byte("some bytes"))
	fmt.Println(w.Close())
	_, err := zstd.NewWriter(nil, zstd.WithEncoderPadding(4096))
	fmt.Println(err)
	_, err = zstd.NewWriter(&bytes.Buffer{})
	fmt.Println(err)
	r, err := zstd.NewReader(io.MultiReader(), zstd.WithDecoderConcurrency(2))
	fmt.Println(err)
	_, err = r.Read(make([]byte, 1))
	fmt.Println(err)
	r.Close()
}
`

// panics prints its stack trace, and what it says of a method without a value.
const panics = `package main

import (
	"os"
	"runtime/debug"
	"strings"

	"github.com/mattn/go-runewidth"
)

type value struct{ n int }

func (v value) print() { println(v.n) }

var printer interface{ print() } = (*value)(nil)

func main() {
	defer func() {
		recover()
		os.Stdout.Write(debug.Stack())
		defer func() {
			os.Stdout.WriteString(recover().(error).Error() + "\n")
		}()
		printer.print()
	}()
	widen(nil, strings.Repeat("ab", 2))
}

func widen(c *runewidth.Condition, s string) {
	c.StringWidth(s)
}
`

// twice has two types that the compiler makes the same function for, which compares.
const twice = `package main

import (
	"os"
	"runtime/debug"
)

type (
	one struct{ name string; what any }
	two struct{ name string; what any }
)

func main() {
	same(one{what: []int{}}, one{what: []int{}})
	same(two{what: []int{}}, two{what: []int{}})
}

func same(a, b any) bool {
	defer func() {
		recover()
		os.Stdout.Write(debug.Stack())
	}()
	return a == b
}
`

// TestRun_GivesModulesThatDoTheSame: the copies of the versions in go.mod have
// all edits made, another run gives the same, and programs do the same with them.
func TestRun_GivesModulesThatDoTheSame(t *testing.T) {
	repository, root := filepath.Join("..", ".."), t.TempDir()
	// A module whose go.mod is ours, with the program that is to do the same.
	for _, name := range []string{"go.mod", "go.sum", "internal/slim/same/main.go"} {
		text, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(root, name), string(text))
	}
	put(t, filepath.Join(root, "refused", "main.go"), refused)
	put(t, filepath.Join(root, "panics", "main.go"), panics)
	put(t, filepath.Join(root, "twice", "main.go"), twice)

	programs := []string{"internal/slim/same", "refused", "panics", "twice"}
	if err := run(root, programs...); err != nil {
		t.Fatal(err)
	}
	first := tree(t, root)
	put(t, filepath.Join(root, out, "src", "gone", "gone.go"), "package gone\n")
	put(t, filepath.Join(root, out, "x", "cobra", "command.go"), "package cobra\n")
	if err := run(root, programs...); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(first, tree(t, root)) {
		t.Error("another run gives other files")
	}

	want := output(t, root, "run", "./internal/slim/same")
	t.Setenv("CGO_ENABLED", "0") // as make build
	goRun := []string{"run", "-C", out + "/src", "-toolexec=" + filepath.Join(root, linker), "-trimpath"}
	have := output(t, root, append(goRun, "./internal/slim/same")...)
	if !bytes.Equal(have, want) {
		wants := strings.Split(string(want), "\n")
		for i, line := range strings.Split(string(have), "\n") {
			if i >= len(wants) || line != wants[i] {
				t.Fatalf("line %d is %q, without edits %q", i+1, line, wants[min(i, len(wants)-1)])
			}
		}
		t.Fatalf("have %d bytes, want %d", len(have), len(want))
	}

	// What is gone is refused: padding that nobody gave a source for, and streams.
	refusals := "s2: padding needs WriterPaddingSrc: built without crypto/rand\npadding is not supported: built without crypto/rand\n" +
		"zstd: no streams in the encoder: built without\n" +
		strings.Repeat("zstd: a stream needs WithDecoderConcurrency(1): built without others\n", 2)
	if have := output(t, root, append(goRun, "./refused")...); string(have) != refusals {
		t.Errorf("refused: have %q, want %q", have, refusals)
	}

	// A stack trace names no function of ours, and what Go links has the names and
	// lines, of functions that were copied into others, too.
	trace := string(output(t, root, append(goRun, "./panics")...))
	program := filepath.Join(t.TempDir(), "panics.exe")
	output(t, root, "build", "-C", out+"/src", "-trimpath", "-o", program, "./panics")
	explained, err := explain(trace, program)
	if err != nil {
		t.Fatal(err)
	}
	for function, place := range map[string]string{
		`x/runewidth\.\(\*Condition\)\.StringWidth\(\)`: `x@v0\.0\.0/runewidth/runewidth\.go:\d+ `,
		`main\.widen\(\.\.\.\)`:                         `l/panics/main\.go:30`,
		`main\.main\(\)`:                                `l/panics/main\.go:26 `,
		`panic\(\)`:                                     `runtime/panic\.go:\d+ `,
	} {
		if !regexp.MustCompile(function + `\n\t\S*` + place).MatchString(explained) {
			t.Errorf("no %s in %s in\n%s\nof\n%s", function, place, explained, trace)
		}
	}
	if regexp.MustCompile(`main\.(main|widen)|runewidth|\.go:`).MatchString(trace) {
		t.Errorf("have names or lines in\n%s", trace)
	}
	// What the compiler made twice is there once, under its first name.
	twice := string(output(t, root, append(goRun, "-ldflags=-w", "./twice")...))
	for name, want := range map[string]int{"type:.eq.main.one": 2, "type:.eq.main.two": 0, "main.same": 2} {
		if have := strings.Count(twice, shortName(name)+"("); have != want {
			t.Errorf("%s is there %d times, want %d, in\n%s", name, have, want, twice)
		}
	}
	if want := "value method main.value.print called using nil *value pointer\n"; !strings.HasSuffix(trace, want) {
		t.Errorf("have\n%swant the end %s", trace, want)
	}
}

// TestLinker_IsThatOfAnotherGo: one that was not read, or that cannot be edited.
func TestLinker_IsThatOfAnotherGo(t *testing.T) {
	cache := t.TempDir()
	for _, test := range []struct {
		version, goroot string
		edited          bool
	}{
		{linkerOf, t.TempDir(), true},
		{linkerOf + ".8", t.TempDir(), true},
		{linkerOf + "0", t.TempDir(), false},
		{"go1.27.1", t.TempDir(), false},
		{linkerOf + ".8", filepath.Join(cache, "toolchain"), false},
	} {
		if why := unedited(test.version, test.goroot, cache); (why == "") != test.edited {
			t.Errorf("%s in %s: have %q, want it edited: %t", test.version, test.goroot, why, test.edited)
		}
	}
}

// tree returns the files that run made, by path.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	dir := os.DirFS(filepath.Join(root, out))
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(dir, name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func put(t *testing.T, name, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func output(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	have, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, complaint.Bytes())
	}
	return have
}
