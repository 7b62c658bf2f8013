package architecture

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"regexp"
	"strings"
)

// Where a file stops being one noun: it should have 100 to 400 lines. Tests
// are tables and may be longer.
const (
	maxLines     = 500
	maxTestLines = 700
)

// packagesAreDocumented finds packages that do not say in doc.go, or in
// main.go for a command, what they are for.
func packagesAreDocumented(t *tree) []finding {
	type state struct {
		name string
		doc  string
	}
	packages := map[string]*state{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		p := packages[f.dir]
		if p == nil {
			p = &state{name: f.ast.Name.Name}
			packages[f.dir] = p
		}
		base := path.Base(f.name)
		if base == "doc.go" || base == "main.go" && p.name == "main" {
			p.doc += f.ast.Doc.Text()
		}
	}
	var found []finding
	for dir, p := range packages {
		switch {
		case p.doc == "":
			found = append(found, finding{dir, dir + " has no package comment in doc.go (main.go for a command)"})
		case p.name != "main" && !strings.HasPrefix(p.doc, "Package "+p.name+" "):
			found = append(found, finding{dir, fmt.Sprintf("the package comment must begin with \"Package %s\"", p.name)})
		}
	}
	return found
}

func filesAreFormatted(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		want, err := format.Source([]byte(f.text))
		if err != nil || !bytes.Equal(want, []byte(f.text)) {
			found = append(found, finding{f.name, "is not as gofmt would have it: run gofmt -w on it"})
		}
	}
	return found
}

func filesAreShort(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		limit := maxLines
		if f.test {
			limit = maxTestLines
		}
		if n := strings.Count(f.text, "\n"); n > limit {
			found = append(found, finding{f.name, fmt.Sprintf("has %d lines, more than %d: a second noun waits inside it", n, limit)})
		}
	}
	return found
}

// later matches the words that put something off. They are split here so that
// the rule does not find itself.
var later = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

func nothingIsLeftForLater(t *tree) []finding {
	var found []finding
	for name, text := range t.texts {
		number := 0
		for line := range strings.Lines(text) {
			number++
			if word := later.FindString(line); word != "" {
				found = append(found, finding{fmt.Sprintf("%s:%d", name, number), word + ": do it, or say in docs what is missing"})
			}
		}
	}
	return found
}
