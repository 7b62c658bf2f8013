package mistake

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Edit replaces text that stands once in a file. Files are named from the root of
// the module.
type Edit struct{ File, Old, New string }

// Overlay writes the files as changed, and the list of them for -overlay of the
// go command, to temporary directories of the test. root leads to the module.
func Overlay(t testing.TB, root string, edits ...Edit) (list string) {
	t.Helper()
	dir := t.TempDir()
	replace := make(map[string]string)
	for _, e := range edits {
		file, err := filepath.Abs(filepath.Join(root, e.File))
		if err != nil {
			t.Fatal(err)
		}
		from := file
		wrong, again := replace[file]
		if again {
			from = wrong
		} else {
			wrong = filepath.Join(dir, strings.ReplaceAll(e.File, "/", "_"))
			replace[file] = wrong
		}
		src, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(src), e.Old); n != 1 {
			t.Fatalf("%q stands %d times in %s", e.Old, n, e.File)
		}
		if err := os.WriteFile(wrong, []byte(strings.Replace(string(src), e.Old, e.New, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return list
}

// Chosen returns which of n mistakes to try: DURUS_MISTAKES of them, taken by
// chance, or all.
func Chosen(t testing.TB, n int) []int {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	all := rand.New(rand.NewPCG(seed, 0)).Perm(n)
	if s := os.Getenv("DURUS_MISTAKES"); s != "" {
		few, err := strconv.Atoi(s)
		if err != nil || few < 0 {
			t.Fatalf("DURUS_MISTAKES=%s: give a number", s)
		}
		all = all[:min(few, n)]
		t.Logf("%d of %d mistakes, seed %d", len(all), n, seed)
	}
	return all
}
