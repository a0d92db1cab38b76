package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// An edit changes one file of a module.
type edit struct {
	file  string                            // from the root of the module, with slashes
	name  string                            // for messages
	apply func(text string) (string, error) // nil: the file goes
}

// drop leaves a file out.
func drop(file string) edit { return edit{file: file, name: "drop"} }

// cut takes top-level declarations out, each with its comment: "Name" a
// function, variable, constant, or a type with its methods in that file;
// "Type.Name" a method.
func cut(file string, names ...string) edit {
	return edit{file, "cut " + strings.Join(names, ", "), func(text string) (string, error) {
		failed := []string{}
		for _, name := range names {
			rest, err := cutOne(text, name)
			if err != nil {
				failed = append(failed, err.Error())
				continue
			}
			text = rest
		}
		if len(failed) > 0 {
			return "", errors.New(strings.Join(failed, "; "))
		}
		return text, nil
	}}
}

// swap replaces text that is in the file once.
func swap(file, old, new string) edit {
	return edit{file, fmt.Sprintf("swap %q", old), func(text string) (string, error) {
		if n := strings.Count(text, old); n != 1 {
			return "", fmt.Errorf("found %d times, want 1", n)
		}
		return strings.Replace(text, old, sameLines(old, new), 1), nil
	}}
}

// sameLines adds to new the line breaks that old has more, so what follows
// keeps its line number, and a stack trace leads to the original.
func sameLines(old, new string) string {
	return new + strings.Repeat("\n", max(strings.Count(old, "\n")-strings.Count(new, "\n"), 0))
}

func cutOne(text, name string) (string, error) {
	fset, file, err := parse(text)
	if err != nil {
		return "", err
	}
	declared, spans := 0, []span{}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			receiver := receiverOf(decl)
			if receiver == name { // a method of the type that goes
				spans = append(spans, spanOf(fset, decl, decl.Doc))
			} else if strings.TrimPrefix(receiver+"."+decl.Name.Name, ".") == name {
				declared++
				spans = append(spans, spanOf(fset, decl, decl.Doc))
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				names, doc := namesOf(spec)
				if !slices.Contains(names, name) {
					continue
				}
				if len(names) > 1 {
					return "", fmt.Errorf("%s is declared together with other names", name)
				}
				declared++
				spans = append(spans, spanOfSpec(fset, decl, spec, doc))
			}
		}
	}
	if declared != 1 {
		return "", fmt.Errorf("%s: declared %d times, want 1", name, declared)
	}
	return without(text, spans), nil
}

// withoutUnusedImports drops the imports that original used and text does not.
// An import whose name is not the end of its path stays, and the compiler tells.
func withoutUnusedImports(text, original string) (string, error) {
	_, before, err := parse(original)
	if err != nil {
		return "", err
	}
	fset, file, err := parse(text)
	if err != nil {
		return "", err
	}
	was, is, spans := selectedFrom(before), selectedFrom(file), []span{}
	for _, decl := range file.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok != token.IMPORT {
			continue
		}
		for _, spec := range decl.Specs {
			spec := spec.(*ast.ImportSpec)
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return "", err
			}
			name := path.Base(imported)
			if spec.Name != nil {
				name = spec.Name.Name
			}
			if was[name] && !is[name] {
				spans = append(spans, spanOfSpec(fset, decl, spec, spec.Doc))
			}
		}
	}
	return without(text, spans), nil
}

// selectedFrom returns the names x that occur as x.y: packages among them.
func selectedFrom(file *ast.File) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok {
				names[x.Name] = true
			}
		}
		return true
	})
	return names
}

func parse(text string) (*token.FileSet, *ast.File, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", text, parser.ParseComments|parser.SkipObjectResolution)
	return fset, file, err
}

// receiverOf returns the name of the type that a method belongs to, nothing for
// a function.
func receiverOf(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) != 1 {
		return ""
	}
	typ := decl.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name
	}
	return "?" // generic: not one of ours to cut
}

func namesOf(spec ast.Spec) (names []string, doc *ast.CommentGroup) {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return []string{spec.Name.Name}, spec.Doc
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
		return names, spec.Doc
	}
	return nil, nil
}

// A span is a part of a text, from and to as offsets in bytes.
type span struct{ from, to int }

func spanOf(fset *token.FileSet, node ast.Node, doc *ast.CommentGroup) span {
	from := node.Pos()
	if doc != nil {
		from = doc.Pos()
	}
	return span{fset.Position(from).Offset, fset.Position(node.End()).Offset}
}

// spanOfSpec is the whole declaration if it declares nothing else.
func spanOfSpec(fset *token.FileSet, decl *ast.GenDecl, spec ast.Spec, doc *ast.CommentGroup) span {
	if len(decl.Specs) == 1 {
		return spanOf(fset, decl, decl.Doc)
	}
	return spanOf(fset, spec, doc)
}

// without returns text without the spans, which are in its order, all but their
// line breaks.
func without(text string, spans []span) string {
	for _, s := range slices.Backward(spans) {
		text = text[:s.from] + sameLines(text[s.from:s.to], "") + text[s.to:]
	}
	return text
}
