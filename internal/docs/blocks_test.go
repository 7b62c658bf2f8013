package docs

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// elsewhere says who compiles the Go blocks of a page that this test leaves out.
var elsewhere = map[string]string{
	"README.md":     "examples/notes/readme_test.go",
	"docs/guide.md": "examples/guide/guide_test.go",
}

// Every Go block of a document is, line by line, part of a Go file of the
// project, which its build or its tests compile.
func TestGoBlocks(t *testing.T) {
	var sources []string
	for _, text := range files(t, func(name string) bool { return path.Ext(name) == ".go" }) {
		sources = append(sources, unindented(text))
	}
	for name, p := range pages(t) {
		if _, ok := elsewhere[name]; ok {
			continue
		}
		for _, block := range p.blocks("go") {
			want, found := unindented(block), false
			for _, source := range sources {
				found = found || strings.Contains(source, want)
			}
			if !found {
				t.Errorf("%s: this block is in no Go file, so nobody compiles it: put it into a test or an example\n%s", name, block)
			}
		}
	}
}

// unindented takes the white space at the begin of each line away, and empty
// lines, and puts a line break in front, so that a block begins with a whole line.
func unindented(text string) string {
	text = regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "")
	return "\n" + regexp.MustCompile(`\n{2,}`).ReplaceAllString(strings.TrimLeft(text, "\n"), "\n")
}
