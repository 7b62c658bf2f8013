package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durusdb/durus/durus"
)

// childEnv makes the test binary the command itself.
const childEnv = "DURUS_EXAMPLE_BOOKMARKS"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// shell runs commands on one file.
type shell struct {
	t    *testing.T
	file string
}

func newShell(t *testing.T) shell { return shell{t, filepath.Join(t.TempDir(), "bookmarks.durus")} }

// must runs a command that succeeds, and returns what it prints.
func (s shell) must(args ...string) string {
	s.t.Helper()
	var out bytes.Buffer
	if err := run(s.t.Context(), s.file, args, &out); err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

// list is what list prints, without the dates.
func (s shell) list(tags ...string) string {
	s.t.Helper()
	var lines []string
	for line := range strings.Lines(s.must(append([]string{"list"}, tags...)...)) {
		lines = append(lines, strings.Join(strings.Fields(line)[1:], " "))
	}
	return strings.Join(lines, ", ")
}

// check compares the index with the objects.
func (s shell) check() {
	s.t.Helper()
	db, err := durus.Open(s.file, &durus.Options{ReadOnly: true})
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(s.t.Context(), func(tx *durus.Tx) error {
		return durus.Must(shelf.Load(tx)).Bookmarks.Check(tx)
	}); err != nil {
		s.t.Error(err)
	}
}

func (s shell) want(got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("got %q, want %q", got, want)
	}
}

func TestCommands(t *testing.T) {
	s := newShell(t)
	s.want(s.list(), "")
	s.must("add", "https://go.dev", "language", "go")
	s.must("add", "https://sqlite.org", "database", "c")
	s.must("add", "https://bolt.example", "go", "database", "go")
	s.must("add", "https://go.dev", "google", "go")
	s.want(s.list(), "https://bolt.example database go, https://sqlite.org c database, https://go.dev go google language")
	s.want(s.list("go"), "https://bolt.example database go, https://go.dev go google language")
	s.want(s.list("go", "database"), "https://bolt.example database go")
	s.want(s.list("rust"), "")
	s.want(s.list("go", "rust"), "")

	s.must("remove", "https://go.dev")
	s.want(s.list("go"), "https://bolt.example database go")
	s.want(s.list("google"), "")
	s.check()
}

func TestErrors(t *testing.T) {
	s := newShell(t)
	for _, args := range [][]string{nil, {"burn"}, {"add"}, {"remove"}, {"remove", "https://go.dev", "x"}} {
		if err := run(t.Context(), s.file, args, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, err := os.Stat(s.file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a mistyped command has made a file: %v", err)
	}
	for want, args := range map[string][]string{
		`"go.dev" is no URL`:                  {"add", "go.dev"},
		`"ftp://x" is no URL`:                 {"add", "ftp://x"},
		"missing protocol scheme":             {"add", ":"},
		`there is no bookmark "https://lost"`: {"remove", "https://lost"},
	} {
		if err := run(t.Context(), s.file, args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want %q", args, err, want)
		}
	}
	s.want(s.list(), "")
}

// D1: processes that add the same URL at the same time make one bookmark.
func TestSameURL(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newShell(t)
	var adds []*exec.Cmd
	for _, tag := range []string{"a", "b", "c", "d"} {
		c := exec.CommandContext(t.Context(), exe, "-file", s.file, "add", "https://go.dev", tag)
		c.Env = append(os.Environ(), childEnv+"=1")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		adds = append(adds, c)
	}
	for _, c := range adds {
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", c.Args, err)
		}
	}
	s.want(s.list(), "https://go.dev a b c d")
	s.check()
}
