package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.*?) *$`)
)

// Every relative link, and every anchor, leads somewhere.
func TestLinks(t *testing.T) {
	all := pages(t)
	checked := 0
	for _, p := range all {
		for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			checked++
			if why := broken(all, p.name, m[1]); why != "" {
				t.Errorf("%s: the link %s leads nowhere: %s", p.name, m[1], why)
			}
		}
	}
	if checked < 50 {
		t.Errorf("found %d links: are they still found?", checked)
	}
}

// broken says what is wrong with a link on a page.
func broken(all map[string]page, from, target string) string {
	file, anchor, _ := strings.Cut(target, "#")
	name := from
	if file != "" {
		name = path.Join(path.Dir(from), file)
	}
	if strings.HasPrefix(name, "../") {
		return "it leaves the project"
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
		return "there is no " + name
	}
	if anchor == "" {
		return ""
	}
	to, ok := all[name]
	if !ok {
		return name + " has no anchors"
	}
	if !anchors(to)[anchor] {
		return name + " has no heading of that name"
	}
	return ""
}

// codeless is a page's text without fenced blocks, code spans in place: they may
// be the text of a link.
func codeless(text string) string {
	return regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$").ReplaceAllString(text, "")
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(p page) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(codeless(p.text), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, link.ReplaceAllString(m[1], ""))
		anchor := name
		for n := 1; found[anchor]; n++ {
			anchor = name + "-" + strconv.Itoa(n)
		}
		found[anchor] = true
	}
	return found
}

// The index has a line for every page and every decision.
func TestIndexIsComplete(t *testing.T) {
	all := pages(t)
	index := all["docs/README.md"].text
	for name := range all {
		rest, inDocs := strings.CutPrefix(name, "docs/")
		if inDocs && rest != "README.md" && !strings.Contains(index, "("+rest+")") {
			t.Errorf("docs/README.md does not tell of %s", rest)
		}
	}
}

// Pages and files that comments and documents name in passing are there.
func TestNamedFilesExist(t *testing.T) {
	named := regexp.MustCompile("(?:^|[\\s(\"`])((?:docs|durus|storage|filestorage|pack|lockfile|vfs|internal|cmd|examples|bench)/[\\w/.-]*\\w\\.(?:md|go|py|txt))\\b")
	texts := files(t, func(name string) bool {
		return path.Ext(name) == ".md" || path.Ext(name) == ".go" && !strings.HasPrefix(name, "internal/architecture/")
	})
	checked := 0
	for name, text := range texts {
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			checked++
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s names %s, which is not there", name, m[1])
			}
		}
	}
	if checked < 20 {
		t.Errorf("found %d names: are they still found?", checked)
	}
}
