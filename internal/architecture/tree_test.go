package architecture

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

// tree is the source of a module as the rules see it. Modules inside it are
// left out, as are testdata and hidden directories.
type tree struct {
	module string // path of the module, from go.mod
	goMod  string
	fset   *token.FileSet
	files  []*source
	texts  map[string]string // every text file by name, Go or not
}

// source is one Go file.
type source struct {
	name string // with slashes, relative to the root of the module
	dir  string // the package's directory, "." for the root
	test bool   // its name ends in _test.go
	text string
	ast  *ast.File
}

// finding is one breach of a rule.
type finding struct {
	where string // file, or file:line
	what  string
}

func (f finding) String() string { return f.where + ": " + f.what }

// rule looks for breaches of one rule.
type rule func(*tree) []finding

// textFiles are the endings and names of files that hold words for people.
var textFiles = []string{".go", ".md", ".yml", ".txt", ".txtar", "Makefile", ".ci/run"}

func load(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet(), texts: map[string]string{}}
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	t.goMod = string(mod)
	for line := range strings.Lines(t.goMod) {
		if p, ok := strings.CutPrefix(line, "module "); ok {
			t.module = strings.TrimSpace(p)
		}
	}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return t.enter(fsys, name)
		}
		isText := slices.ContainsFunc(textFiles, func(s string) bool { return strings.HasSuffix(name, s) })
		if !isText || !d.Type().IsRegular() {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		t.texts[name] = string(text)
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		return t.add(name, string(text))
	})
	return t, err
}

// enter decides whether a directory belongs to the tree.
func (t *tree) enter(fsys fs.FS, name string) error {
	base := path.Base(name)
	hidden := strings.HasPrefix(base, ".") && base != "." && base != ".ci"
	if hidden || base == "testdata" || base == "vendor" {
		return fs.SkipDir
	}
	if _, err := fs.Stat(fsys, path.Join(name, "go.mod")); err == nil && name != "." {
		return fs.SkipDir
	}
	return nil
}

func (t *tree) add(name, text string) error {
	parsed, err := parser.ParseFile(t.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.files = append(t.files, &source{
		name: name,
		dir:  path.Dir(name),
		test: strings.HasSuffix(name, "_test.go"),
		text: text,
		ast:  parsed,
	})
	return nil
}

// at is the place of a node, for findings.
func (t *tree) at(p token.Pos) string {
	pos := t.fset.Position(p)
	return fmt.Sprintf("%s:%d", pos.Filename, pos.Line)
}

// local cuts the module's path off an import path; ok is false for packages of others.
func (t *tree) local(importPath string) (dir string, ok bool) {
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}

// importsOf yields what a file imports, with the names that the file uses.
func importsOf(f *source) []imported {
	var all []imported
	for _, spec := range f.ast.Imports {
		p := strings.Trim(spec.Path.Value, "`\"")
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		all = append(all, imported{path: p, name: name, pos: spec.Pos()})
	}
	return all
}

type imported struct {
	path string
	name string
	pos  token.Pos
}

// check reports what the rule finds in this module.
func check(t *testing.T, r rule) {
	t.Helper()
	found := r(module(t))
	slices.SortFunc(found, func(a, b finding) int { return cmp.Compare(a.where, b.where) })
	for _, f := range found {
		t.Error(f)
	}
}
