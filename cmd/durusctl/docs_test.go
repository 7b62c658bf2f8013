package main

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command line in the documents, in a code span or a block, names a command
// and flags that there are.
func TestDocs(t *testing.T) {
	root := (&app{}).root()
	found := 0
	tree := os.DirFS("../..")
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".":
			return fs.SkipDir
		case path.Ext(name) != ".md":
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		for _, line := range commandLines(string(text)) {
			found++
			if why := misspelt(root, line); why != "" {
				t.Errorf("%s: %s: %s", name, line, why)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 20 {
		t.Errorf("found %d command lines: are they still found?", found)
	}
}

var (
	inSpan = regexp.MustCompile("`([^`\n]*)`")
	// An explanation follows two spaces, a comment a #.
	endOfLine = regexp.MustCompile(`\s{2,}|\s#|[|;>]|&&|\)`)
)

// commandLines returns the calls of durusctl in a document.
func commandLines(text string) (lines []string) {
	fenced := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch indented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t"); {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced, indented:
			lines = append(lines, calls(line)...)
		default:
			for _, m := range inSpan.FindAllStringSubmatch(line, -1) {
				lines = append(lines, calls(m[1])...)
			}
		}
	}
	return lines
}

// calls returns the call of durusctl in a line of code, if there is one.
func calls(code string) []string {
	for _, name := range []string{"./cmd/durusctl ", "durusctl "} {
		if before, call, ok := strings.Cut(code, name); ok && !strings.HasSuffix(before, "/") {
			return []string{"durusctl " + endOfLine.Split(call, 2)[0]}
		}
	}
	return nil
}

// misspelt says what is wrong with a command line.
func misspelt(root *cobra.Command, line string) string {
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(line))[1:]
	if len(words) == 0 {
		return ""
	}
	if words[0] == "help" { // cobra adds it when it runs
		if words = words[1:]; len(words) == 0 || words[0] == "COMMAND" {
			return ""
		}
	}
	cmd, _, err := root.Find(words[:1])
	if err != nil || cmd == root && !strings.HasPrefix(words[0], "-") {
		return "there is no such command"
	}
	for _, w := range words {
		name, isFlag := strings.CutPrefix(w, "-")
		if !isFlag || name == "" {
			continue
		}
		name, _, _ = strings.Cut(name, "=")
		long, isLong := strings.CutPrefix(name, "-")
		switch {
		case isLong && cmd.Flag(long) == nil && long != "help",
			!isLong && cmd.Flags().ShorthandLookup(name[:1]) == nil && name != "h":
			return "there is no flag " + w
		}
	}
	return ""
}

func TestMisspelt(t *testing.T) {
	root := (&app{}).root()
	for line, want := range map[string]string{
		"durusctl inspect FILE [OID]":          "",
		"durusctl pack x.durus --keep 7d":      "",
		"durusctl tail -f FILE":                "",
		"durusctl help pack":                   "",
		"durusctl burn FILE":                   "there is no such command",
		"durusctl pack FILE --burn":            "there is no flag --burn",
		"durusctl top FILE [--interval=1s] -q": "there is no flag -q",
	} {
		if got := misspelt(root, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// The help of every command fits a screen and a half of 80 columns.
func TestHelpFits(t *testing.T) {
	for _, c := range append(new(app).root().Commands(), new(app).root()) {
		var out, notes bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(t.Context(), args, &out, &notes); code != exitOK {
			t.Fatalf("%s exits with %d: %s", strings.Join(args, " "), code, notes.String())
		}
		lines := strings.Split(out.String(), "\n")
		if len(lines) > 46 {
			t.Errorf("%s has %d lines", strings.Join(args, " "), len(lines))
		}
		for _, l := range lines {
			if textWidth(l) > 80 {
				t.Errorf("%s: %d columns: %s", strings.Join(args, " "), textWidth(l), l)
			}
		}
	}
}
