//go:build ignore

package loader

import (
	"fmt"
	"internal/abi"
	"strings"
)

// FuncName returns the name of a function for the program's table: in full where
// it calls runtime.panicwrap, which takes the name to pieces.
func (l *Loader) FuncName(i Sym) string {
	name, calls := l.SymName(i), l.Relocs(i)
	for k := range calls.Count() {
		if l.SymName(calls.At(k).Sym()) == "runtime.panicwrap" {
			return name
		}
	}
	return shortName(name)
}

// NumInlTree returns how many functions were copied into this one, none where the
// runtime need not tell them from it: it must not interrupt those of its own in a
// function of others, and counts no wrappers. (A function that calls recover, for
// which it counts callers, is never copied.)
func (fi *FuncInfo) NumInlTree() uint32 {
	if fi.FuncID() == abi.FuncIDWrapper {
		return fi.numInlTree()
	}
	for k := range fi.numInlTree() {
		if !runtimeReads(fi.name) && runtimeReads(fi.l.SymName(fi.InlTree(int(k)).Func)) {
			return fi.numInlTree()
		}
	}
	return 0
}

// PcdataAuxs returns the tables by instruction, without those of files, of lines,
// and of which arguments are still valid.
func (l *Loader) PcdataAuxs(i Sym, tmp []Sym) (pcsp, pcfile, pcline, pcinline Sym, pcdata []Sym) {
	pcsp, _, _, pcinline, pcdata = l.pcdataAuxs(i, tmp)
	if len(pcdata) > abi.PCDATA_ArgLiveIndex {
		pcdata[abi.PCDATA_ArgLiveIndex] = 0
	}
	for len(pcdata) > 0 && (pcdata[len(pcdata)-1] == 0 || l.SymSize(pcdata[len(pcdata)-1]) == 0) {
		pcdata = pcdata[:len(pcdata)-1]
	}
	return pcsp, 0, 0, pcinline, pcdata
}

func (l *Loader) NumPcdata(i Sym) int {
	_, _, _, _, pcdata := l.PcdataAuxs(i, nil)
	return len(pcdata)
}

// Funcdata returns the tables by function, without those that say how to print
// its arguments.
func (l *Loader) Funcdata(i Sym, tmp []Sym) []Sym {
	funcdata := l.funcdata(i, tmp)
	for _, k := range []int{abi.FUNCDATA_ArgInfo, abi.FUNCDATA_ArgLiveInfo} {
		if k < len(funcdata) {
			funcdata[k] = 0
		}
	}
	for len(funcdata) > 0 && funcdata[len(funcdata)-1] == 0 {
		funcdata = funcdata[:len(funcdata)-1]
	}
	return funcdata
}

func (l *Loader) NumFuncdata(i Sym) int { return len(l.Funcdata(i, nil)) }

// folded are the functions that Fold took out, each with the one that it equals.
var folded = map[Sym]Sym{}

// Fold takes out of functions those that the compiler made like one before: what a
// defer or a go statement calls, and what compares two values of a type. Nobody
// wrote them, so a stack trace loses nothing where one has the name of another: who
// called or started it is in it, too.
func (l *Loader) Fold(functions []Sym) []Sym {
	kept, first := []Sym{}, map[string]Sym{}
	for _, i := range functions {
		if compilerMade(l.SymName(i)) {
			content := l.content(i)
			if equal, ok := first[content]; ok {
				folded[i] = equal
				continue
			}
			first[content] = i
		}
		kept = append(kept, i)
	}
	return kept
}

// PlaceFolded gives those that Fold took out the addresses of those they equal.
func (l *Loader) PlaceFolded() {
	for i, equal := range folded {
		l.SetSymSect(i, l.SymSect(equal))
		l.SetSymValue(i, l.SymValue(equal))
	}
}

// compilerMade leaves out those of the runtime, which knows its own by name.
func compilerMade(name string) bool {
	return !runtimeReads(name) &&
		(strings.HasPrefix(name, "type:.eq.") || strings.Contains(name, ".deferwrap") || strings.Contains(name, ".gowrap"))
}

// content returns all that the program holds of a function but its name: what it
// does, and what the tables say of it.
func (l *Loader) content(i Sym) string {
	fi, relocs := l.FuncInfo(i), l.Relocs(i)
	fi.Preload()
	pcsp, _, _, pcinline, pcdata := l.PcdataAuxs(i, nil)
	if fi.NumInlTree() == 0 {
		pcinline = 0
	}
	content := fmt.Sprintf("%q %d %d %d %d %d %d %d %d %d", l.Data(i), l.SymType(i), l.SymAlign(i),
		fi.Args(), fi.FuncID(), fi.FuncFlag(), pcsp, pcinline, pcdata, l.Funcdata(i, nil))
	for k := range relocs.Count() {
		r := relocs.At(k)
		content += fmt.Sprint(" ", r.Type(), r.Off(), r.Siz(), r.Add(), r.Sym())
	}
	return content
}
