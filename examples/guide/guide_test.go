package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What the guide shows as Go is part of the programs here, line by line, and
// what it shows as text is part of what they print. The other tests compile and
// run them.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string][]string{"go": files(t, ".go"), "text": files(t, ".txt")}
	seen := map[string]int{}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1) {
		language, block := m[1], unindented(m[2])
		seen[language]++
		switch language {
		case "go", "text":
			found := false
			for _, source := range sources[language] {
				found = found || strings.Contains(source, block)
			}
			if !found {
				t.Errorf("this block is nowhere in examples/guide:\n%s", m[2])
			}
		case "sh":
		default:
			t.Errorf("a block of %s is neither compiled nor printed", language)
		}
	}
	if seen["go"] < 20 || seen["text"] < 5 {
		t.Errorf("the guide has %v blocks: are they still found?", seen)
	}
	if fences := strings.Count(string(guide), "```"); fences != 2*(seen["go"]+seen["text"]+seen["sh"]) {
		t.Errorf("the guide has %d fences, of which %v belong to blocks of a language", fences, seen)
	}
}

// files returns the files below this directory whose names end like this, tests
// left out, in the form of unindented.
func files(t *testing.T, suffix string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, suffix) || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		all = append(all, unindented(string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// unindented takes the white space at the begin of each line away, and puts a
// line break in front, so that a block begins with a whole line.
func unindented(text string) string {
	return "\n" + regexp.MustCompile(`(?m)^[ \t]+`).ReplaceAllString(text, "")
}
