package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var row = regexp.MustCompile("(?m)^\\| `(durus: [^`]+)` \\| (\\w+) \\| ([^|]+) \\|")

// docs/operations.md has a line for every message that the library logs, with its
// level and its attributes, and none for others.
func TestMessages(t *testing.T) {
	told := map[string]bool{}
	for _, m := range row.FindAllStringSubmatch(pages(t)["docs/operations.md"].text, -1) {
		told[fmt.Sprintf("| `%s` | %s | %s |", m[1], m[2], m[3])] = true
	}
	logged := map[string]bool{}
	for name, text := range files(t, ofLibrary) {
		for _, m := range messages(t, name, text) {
			logged[m] = true
			if !told[m] {
				t.Errorf("docs/operations.md does not have the message of %s:\n%s", name, m)
			}
		}
	}
	for m := range told {
		if !logged[m] {
			t.Errorf("docs/operations.md has a message that nobody logs:\n%s", m)
		}
	}
	if len(logged) < 10 {
		t.Errorf("found %d messages: are they still found?", len(logged))
	}
}

// ofLibrary tells what a program that embeds durus compiles.
func ofLibrary(name string) bool {
	if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
		return false
	}
	first, _, _ := strings.Cut(name, "/")
	return !slices.Contains([]string{"cmd", "examples", "bench"}, first)
}

// messages returns the calls of a logger in a file as rows of the table.
func messages(t *testing.T, name, text string) (rows []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		level, ok := loggerCall(call)
		if !ok {
			return true
		}
		message := literal(call.Args[0])
		if message == "" || len(call.Args)%2 == 0 {
			t.Errorf("%s: a message to a logger is a constant, with keys and values behind it", name)
			return true
		}
		var keys []string
		for i := 1; i < len(call.Args); i += 2 {
			keys = append(keys, "`"+literal(call.Args[i])+"`")
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", message, level, strings.Join(keys, ", ")))
		return true
	})
	return rows
}

// loggerCall tells a call of a slog.Logger by its name and by what it is called
// on: x.logger or x.Logger.
func loggerCall(call *ast.CallExpr) (level string, ok bool) {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "LogAttrs"}, method.Sel.Name) {
		return "", false
	}
	on := ""
	switch x := method.X.(type) {
	case *ast.SelectorExpr:
		on = x.Sel.Name
	case *ast.Ident:
		on = x.Name
	}
	return method.Sel.Name, strings.EqualFold(on, "logger") || on == "slog" || on == "log"
}

// literal is the value of a string constant in place, or empty.
func literal(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return ""
	}
	return s
}
