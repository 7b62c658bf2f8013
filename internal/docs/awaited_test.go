package docs

import (
	"os"
	"strings"
	"testing"
)

// awaited are files that the text tells of and that come with a later change:
// the lines of testdata/awaited.txt, which also has the commands that
// cmd/durusctl is to get. Without that file nothing is awaited.
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
