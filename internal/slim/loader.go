//go:build ignore

package loader

import "internal/abi"

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
