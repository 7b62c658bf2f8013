package docs

import (
	"os"
	"strings"
	"testing"
)

// awaited are the files, log messages and commands of durusctl that the text
// tells of and that come with a later change: the lines of testdata/awaited.txt.
// Without that file nothing is awaited.
func awaited(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("testdata/awaited.txt")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		names[strings.TrimSpace(line)] = true
	}
	return names
}
