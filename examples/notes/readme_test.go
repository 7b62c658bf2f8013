package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The program in README.md compiles, and prints what README.md says.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("calls the go command")
	}
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) []byte {
		m := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1)
		if len(m) != 1 {
			t.Fatalf("README.md has %d blocks of %s, want one", len(m), language)
		}
		return m[0][1]
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program.exe")
	if err := os.WriteFile(source, block("go"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, source)
	build.Dir = root // whose module the program imports
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), program)
	run.Dir = dir
	got, err := run.Output()
	if want := block("text"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("it prints %q, %v, README.md says %q", got, err, want)
	}
}
