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
	"time"

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

// run returns what a command prints; "< TEXT" at the end is its input.
func (s shell) run(args ...string) (string, error) {
	var in string
	if n := len(args) - 1; n >= 0 && strings.HasPrefix(args[n], "< ") {
		args, in = args[:n], args[n][2:]
	}
	var out bytes.Buffer
	err := run(s.t.Context(), append([]string{"-file", s.file}, args...), strings.NewReader(in), &out)
	return out.String(), err
}

// must runs a command that succeeds.
func (s shell) must(args ...string) string {
	s.t.Helper()
	out, err := s.run(args...)
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return out
}

// urls are the URLs of a list, in its order.
func (s shell) urls(tags ...string) string {
	s.t.Helper()
	var urls []string
	for line := range strings.Lines(s.must(append([]string{"list"}, tags...)...)) {
		urls = append(urls, strings.Fields(line)[2])
	}
	return strings.Join(urls, " ")
}

// check compares the indexes with the objects.
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
	s.want(s.must("list"), "")
	s.must("add", "https://go.dev", "language", "go")
	s.must("add", "https://sqlite.org", "database", "c")
	s.must("add", "https://bolt.example", "database", "go")
	s.must("add", "https://go.dev", "google", "go")
	s.want(s.urls(), "https://go.dev https://sqlite.org https://bolt.example")
	s.want(s.urls("go"), "https://go.dev https://bolt.example")
	s.want(s.urls("go", "database"), "https://bolt.example")
	s.want(s.urls("rust"), "")
	s.want(s.must("tags"), "   1  c\n   2  database\n   2  go\n   1  google\n   1  language\n")

	exported := s.must("export")
	other := newShell(t)
	other.must("import", "< "+exported)
	s.want(other.must("export"), exported)
	other.must("import", "< "+exported)
	s.want(other.must("export"), exported)

	s.must("rm", "1")
	s.want(s.urls("go"), "https://bolt.example")
	s.want(s.must("tags"), "   1  c\n   2  database\n   1  go\n")
	s.check()
}

func TestErrors(t *testing.T) {
	s := newShell(t)
	for want, args := range map[string][]string{
		`no command "burn"`:           {"burn"},
		"add what?":                   {"add"},
		`"go.dev" is no URL`:          {"add", "go.dev"},
		"that list shows":             {"rm"},
		"rm takes the number":         {"rm", "x"},
		"export takes no arguments":   {"export", "x"},
		"no bookmark 7":               {"rm", "7"},
		"not what export writes":      {"import", "< {"},
		`"ftp://x" is no URL`:         {"import", `< [{"url": "https://y"}, {"url": "ftp://x"}]`},
		`has the key "https://twice"`: {"import", `< [{"url": "https://once"}, {"url": "https://twice"}, {"url": "https://twice"}]`},
		"flag provided":               {"-x"},
	} {
		if out, err := s.run(args...); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%v: %q, %v; want %q", args, out, err, want)
		}
	}
	s.want(s.must("list"), "") // nothing of an import that failed is there
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
	s.want(strings.Join(strings.Fields(s.must("list"))[2:], " "), "https://go.dev a b c d")
	s.check()
}

// A file of the first version: no tags but labels, no index of tags. The first
// version goes on with what the second has not changed.
func TestFirstVersion(t *testing.T) {
	type Bookmark struct {
		URL, Labels string
		Added       time.Time
	}
	type Shelf struct{ Bookmarks durus.Table[int, Bookmark] }
	byURL := durus.NewIndex("url", func(b *Bookmark) string { return b.URL }).Unique()
	types := durus.NewTypes()
	durus.RegisterIn[Bookmark](types, "bookmarks.Bookmark", durus.Indexes(byURL))
	durus.RegisterIn[Shelf](types, "bookmarks.Shelf")
	shelf := durus.NewRoot[Shelf]("shelf")

	s := newShell(t)
	v1, err := durus.Open(s.file, &durus.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	defer v1.Close()
	if err := v1.Update(t.Context(), func(tx *durus.Tx) error {
		old := durus.Must(shelf.Load(tx)).Bookmarks
		durus.Must(old.Insert(tx, 1, &Bookmark{URL: "https://go.dev", Labels: "go, language"}))
		durus.Must(old.Insert(tx, 2, &Bookmark{URL: "https://sqlite.org", Labels: "database"}))
		return nil
	}); err != nil {
		t.Fatal(err)
	}

	s.want(s.urls("go"), "https://go.dev")
	s.must("add", "https://go.dev", "google")
	s.want(s.must("tags"), "   1  database\n   1  go\n   1  google\n   1  language\n")
	s.check()

	if err := v1.View(t.Context(), func(tx *durus.Tx) error {
		old := durus.Must(shelf.Load(tx)).Bookmarks
		if _, _, err := old.Get(tx, 1); !errors.Is(err, durus.ErrTooNew) {
			t.Errorf("the first version reads the second: %v", err)
		}
		b, _, err := old.Get(tx, 2)
		if err == nil && b.Labels != "database" {
			t.Errorf("the first version reads %+v", b)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), nil, strings.NewReader(""), &out); err != nil || out.String() != usage {
		t.Errorf("without arguments: %v, %q", err, &out)
	}
	if err := run(t.Context(), []string{"-h"}, strings.NewReader(""), io.Discard); err != nil {
		t.Errorf("-h: %v", err)
	}
}
