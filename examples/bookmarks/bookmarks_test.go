package main

import (
	"errors"
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

// shell runs commands on one file, each in a process of its own.
type shell struct {
	t    *testing.T
	file string
}

func newShell(t *testing.T) shell {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	return shell{t, filepath.Join(t.TempDir(), "bookmarks.durus")}
}

func (s shell) command(args ...string) *exec.Cmd {
	s.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.CommandContext(s.t.Context(), exe, append([]string{"-file", s.file}, args...)...)
	c.Env = append(os.Environ(), childEnv+"=1", "GORACE=atexit_sleep_ms=0")
	return c
}

// must runs a command that succeeds, and returns what it prints.
func (s shell) must(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v, %s", args, err, out)
	}
	return string(out)
}

// fails runs a command that tells what is wrong.
func (s shell) fails(want string, args ...string) {
	s.t.Helper()
	if out, err := s.command(args...).CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
		s.t.Errorf("%v: %v, %s; want %q", args, err, out, want)
	}
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
		s.fails("use: add URL", args...)
	}
	if _, err := os.Stat(s.file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a mistyped command has made a file: %v", err)
	}
	s.fails(`"go.dev" is no URL`, "add", "go.dev")
	s.fails(`"ftp://x" is no URL`, "add", "ftp://x")
	s.fails("missing protocol scheme", "add", ":")
	s.fails(`there is no bookmark "https://lost"`, "remove", "https://lost")
	s.want(s.list(), "")
}

// D1: processes that add the same URL at the same time make one bookmark.
func TestSameURL(t *testing.T) {
	s := newShell(t)
	var adds []*exec.Cmd
	for _, tag := range []string{"a", "b", "c", "d"} {
		c := s.command("add", "https://go.dev", tag)
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
