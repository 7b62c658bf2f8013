package docs

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// root is where the module begins, as seen from here.
const root = "../.."

// page is one document in Markdown.
type page struct {
	name  string // with slashes, relative to the root
	text  string
	prose string // the text without its code, line by line
}

// files yields the files below the root that are part of the project.
func files(t *testing.T, wanted func(name string) bool) map[string]string {
	t.Helper()
	found := map[string]string{}
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (base == "testdata" || strings.HasPrefix(base, ".") && name != "."):
			return fs.SkipDir
		case d.IsDir() || !wanted(name):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		found[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func pages(t *testing.T) map[string]page {
	t.Helper()
	all := map[string]page{}
	for name, text := range files(t, func(name string) bool { return path.Ext(name) == ".md" }) {
		all[name] = page{name: name, text: text, prose: withoutCode(text)}
	}
	if len(all) < 20 {
		t.Fatalf("found %d documents: where are the others?", len(all))
	}
	return all
}

var codeSpan = regexp.MustCompile("``[^\n]+?``|`[^`\n]+`")

// withoutCode empties the lines of fenced blocks and takes code spans out.
func withoutCode(text string) string {
	lines := strings.Split(text, "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence {
			fenced = !fenced
		}
		if fenced || fence {
			lines[i] = ""
			continue
		}
		lines[i] = codeSpan.ReplaceAllString(line, "")
	}
	return strings.Join(lines, "\n")
}

// blocks returns the fenced blocks of a language, in order.
func (p page) blocks(language string) (all []string) {
	for _, m := range regexp.MustCompile("(?ms)^[ \t]*```"+language+"\n(.*?)^[ \t]*```[ \t]*$").FindAllStringSubmatch(p.text, -1) {
		all = append(all, m[1])
	}
	return all
}
