package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"
	"testing"
)

// shownBy are the types of package durus that come with another one, and the
// example that shows them.
var shownBy = map[string]string{
	"AnyIndex":           "ExampleIndex",
	"ConflictObject":     "ExampleConflictError",
	"Connection":         "ExampleDB_Connect",
	"IndexReport":        "ExampleCheckTables",
	"MigrateFailure":     "ExampleDB_Migrate",
	"MigrateProgress":    "ExampleDB_Migrate",
	"MigrateReport":      "ExampleDB_Migrate",
	"ReindexOptions":     "ExampleReindex",
	"ReindexProgress":    "ExampleReindex",
	"TableOf":            "ExampleIndex",
	"TableReport":        "ExampleCheckTables",
	"WriteConflictError": "ExampleConflictError",
}

// Every exported type of package durus has an example that runs: its own, one of
// a method, or that of a type which it comes with.
func TestEveryTypeHasAnExample(t *testing.T) {
	sources := files(t, func(name string) bool { return path.Dir(name) == "durus" && path.Ext(name) == ".go" })
	examples := map[string]bool{}
	for _, text := range sources {
		for _, m := range regexp.MustCompile(`(?m)^func (Example\w*)\(`).FindAllStringSubmatch(text, -1) {
			examples[m[1]] = true
			of, _, _ := strings.Cut(m[1], "_")
			examples[of] = true
		}
	}
	types := 0
	for name, text := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range typesOf(file) {
			types++
			want := "Example" + spec
			if other, ok := shownBy[spec]; ok {
				want = other
			}
			if !examples[want] {
				t.Errorf("type %s of package durus has no example: write %s, or tell in shownBy where it is shown", spec, want)
			}
		}
	}
	if types < 30 {
		t.Errorf("found %d types: are they still found?", types)
	}
}

// typesOf returns the names of the exported types of a file.
func typesOf(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range group.Specs {
			if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				names = append(names, spec.Name.Name)
			}
		}
	}
	return names
}
