package main

import (
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// linkerOf is the Go whose linker we edit, and whose runtime was read for what it
// needs of the tables that the linker leaves out: runtime/symtab.go,
// symtabinl.go, traceback.go, preempt.go, stkframe.go, panic.go, error.go.
const linkerOf = "go1.26"

// linker is where it is built, from the root of the repository. Windows runs what
// is named so; others do not mind.
const linker = "bin/link.exe"

// linkerEdits has the linker take its tables of functions from loader.go, which
// leaves out what serves stack traces only. Saved, of the stripped program for
// linux/amd64: files and lines 414,000 bytes, functions that were copied 311,000,
// arguments 164,000, names 117,000.
var linkerEdits = []edit{
	swap("internal/loader/loader.go", "func (l *Loader) PcdataAuxs(", "func (l *Loader) pcdataAuxs("),
	swap("internal/loader/loader.go", "func (l *Loader) Funcdata(", "func (l *Loader) funcdata("),
	swap("internal/loader/loader.go", "func (fi *FuncInfo) NumInlTree(", "func (fi *FuncInfo) numInlTree("),
	swap("internal/loader/loader.go", "\tlengths goobj.FuncInfoLengths\n}", "\tlengths goobj.FuncInfoLengths\n\tname string\n}"),
	swap("internal/loader/loader.go", "goobj.FuncInfoLengths{}}", "goobj.FuncInfoLengths{}, l.SymName(i)}"),
	cut("internal/loader/loader.go", "Loader.NumPcdata", "Loader.NumFuncdata"),
	swap("internal/ld/pcln.go", "AddCStringAt(int64(off), ctxt.loader.SymName(s))", "AddCStringAt(int64(off), ctxt.loader.FuncName(s))"),
	swap("internal/ld/pcln.go", "len(ctxt.loader.SymName(s))", "len(ctxt.loader.FuncName(s))"),
	swap("internal/ld/pcln.go", "saveOffset := func(pcSym loader.Sym) {", "saveOffset := func(pcSym loader.Sym) { if pcSym == 0 { return }"),
	swap("internal/ld/pcln.go", "walkFilenames(ctxt, funcs, func", "walkFilenames(ctxt, nil, func"),

	// The description of a type has words of 8 bytes at most, that of a function
	// of 4: they need not begin at multiples of 32 and 8. Saved: 59,488.
	swap("internal/ld/data.go", "align = int32(thearch.Maxalign)\n", "align = int32(thearch.Maxalign); if strings.HasPrefix(ldr.SymName(s), \"type:\") { align = 8 }\n"),
	swap("internal/ld/pcln.go", "size = Rnd(size, int64(ctxt.Arch.PtrSize))\n\t\tstartLocations", "size = Rnd(size, 4)\n\t\tstartLocations"),

	// Functions that the compiler made alike are there once: loader.go. (With -w:
	// debuggers want each.) Saved: 49,152.
	swap("internal/ld/data.go", "\tsect.Align = int32(Funcalign)\n\n\tldr := ctxt.loader\n", "\tsect.Align = int32(Funcalign)\n\n\tldr := ctxt.loader; if *FlagW { ctxt.Textp = ldr.Fold(ctxt.Textp) }\n"),
	swap("internal/ld/data.go", "\tsect.Length = va - sect.Vaddr + uint64(ctxt.Arch.MinLC)\n", "\tsect.Length = va - sect.Vaddr + uint64(ctxt.Arch.MinLC); ldr.PlaceFolded()\n"),
}

var (
	//go:embed names.go
	namesText string
	//go:embed loader.go
	loaderText string
	//go:embed toolexec.go
	toolexecText string
)

// addLinker adds the files of the linker that are not as in Go, and overlay.json,
// which puts them there. It adds none, and says so, where Go's own is to be taken.
func addLinker(root string, files map[string]string) error {
	text, err := goTool(root, "env", "GOVERSION", "GOROOT", "GOMODCACHE")
	if err != nil {
		return err
	}
	env := strings.Split(text, "\n")
	version, goroot, cache := env[0], env[1], env[2]
	if why := unedited(version, goroot, cache); why != "" {
		fmt.Fprintf(os.Stderr, "slim: the program will be about 1,000,000 bytes larger: %s\n", why)
		return nil
	}
	dir := filepath.Join(goroot, "src", "cmd", "link")
	original, err := slimmed("cmd/link", os.DirFS(dir), linkerEdits)
	if err != nil {
		return err
	}
	edited := map[string]string{
		"internal/loader/names.go": strings.Replace(namesText, "package main", "package loader", 1),
		"internal/loader/slim.go":  strings.Replace(loaderText, ignore, "", 1),
	}
	for _, e := range linkerEdits {
		edited[e.file] = original[e.file]
	}
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(edited)) {
		io.WriteString(hash, edited[name])
	}
	edited["slim.go"] = strings.Replace(strings.Replace(toolexecText, ignore, "", 1), "EDITS", fmt.Sprintf("%x", hash.Sum(nil)[:8]), 1)

	files["linker/go.mod"] = original["go.mod"] // keeps ./... out
	replace := map[string]string{}
	for name, text := range edited {
		files["linker/"+name] = text
		replace[filepath.Join(dir, filepath.FromSlash(name))] = path.Join(out, "linker", name) // from root
	}
	overlay, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	files["overlay.json"] = string(overlay) + "\n"
	return err
}

const ignore = "//go:build ignore\n"

// unedited says why Go's own linker is taken, nothing if it is not.
func unedited(version, goroot, cache string) string {
	if version != linkerOf && !strings.HasPrefix(version, linkerOf+".") {
		return fmt.Sprintf("this is %s, whose runtime was not read: internal/slim/linker.go", version)
	}
	if within, err := filepath.Rel(cache, goroot); err == nil && filepath.IsLocal(within) {
		return "go build -overlay refuses the files of a Go in the module cache, as " + goroot
	}
	return ""
}

// buildLinker builds what addLinker added.
func buildLinker(root string) error {
	if _, err := os.Stat(filepath.Join(root, out, "overlay.json")); err != nil {
		return os.RemoveAll(filepath.Join(root, linker))
	}
	_, err := goTool(root, "build", "-overlay="+out+"/overlay.json", "-trimpath", "-o", linker, "cmd/link")
	return err
}
