package realdisk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// scene is what a child finds when it comes to commit.
type scene struct {
	name    string
	files   map[string][]byte // by what is added to the path; none: it creates the database
	durable []byte            // what of the file nobody may change
	// everywhere: names are not known beforehand, so the calls are not chosen
	// by path.
	everywhere bool
}

// scenes are made once: they are copied for each experiment.
func scenes(t testing.TB) []scene {
	t.Helper()
	dir := t.TempDir()
	read := func(name string) []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	closed := filepath.Join(dir, "closed")
	commitAll(t, closed, nil, 1, 3)
	file, mark := read(closed), read(closed+".lock")

	// Nobody knows what of it is on the disk, and a writer died in a commit.
	commitAll(t, closed, &durus.Options{Sync: durus.SyncNever}, 4, 6)
	longer := read(closed)
	torn := longer[:len(longer)-700]

	return []scene{
		{name: "create", everywhere: true},
		{name: "commit", files: map[string][]byte{"": file, ".lock": mark}, durable: file},
		{name: "recover", files: map[string][]byte{"": torn, ".lock": mark}, durable: file},
		{name: "unmarked", files: map[string][]byte{"": longer}, durable: file},
	}
}

// commitAll has process 2 commit some transactions.
func commitAll(t testing.TB, path string, opts *durus.Options, from, to int64) {
	t.Helper()
	db, err := durus.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n <= to; n++ {
		if _, err := transact(db, 2, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// set puts the files of a scene in place.
func (s *scene) set(t testing.TB) (path string) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "scene")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, "db")
	for suffix, b := range s.files {
		if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// paths are what strace is to look at, nil for everything.
func (s *scene) paths(path string) []string {
	if s.everywhere {
		return nil
	}
	return []string{path, path + ".lock", filepath.Dir(path)}
}

// company is the second live process: the test itself.
type company struct {
	kind string // one of companies
	path string
	a    *account
	db   *durus.DB
	n    int64
	stop chan struct{}
	work sync.WaitGroup
	err  error
}

// companies: nobody else; somebody who has the file open and commits when the
// child is gone; somebody who commits all the time.
var companies = []string{"alone", "after", "during"}

const companion = 3 // its process number

func newCompany(kind, path string, a *account) *company {
	c := &company{kind: kind, path: path, a: a, stop: make(chan struct{})}
	if kind == "alone" {
		return c
	}
	c.db, c.err = durus.Open(path, &durus.Options{Check: durus.CheckNothing, Logger: quiet, LockTimeout: sweepTimeout})
	if kind == "during" && c.err == nil {
		c.work.Go(func() {
			for c.err == nil {
				select {
				case <-c.stop:
					return
				case <-time.After(time.Millisecond):
					c.commit()
				}
			}
		})
	}
	return c
}

func (c *company) commit() {
	c.n++
	_, err := transact(c.db, companion, c.n)
	c.a.note(companion, c.n, err)
	if err != nil {
		c.err = fmt.Errorf("another process: %w", err)
	}
}

// leave has the second process commit once more, look, and go.
func (c *company) leave() error {
	close(c.stop)
	c.work.Wait()
	switch {
	case c.db == nil:
		return c.err
	case c.err != nil:
		return errors.Join(c.err, c.db.Close())
	}
	if c.commit(); c.err != nil {
		return errors.Join(c.err, c.db.Close())
	}
	at, _, err := look(c.db)
	if err == nil && at[companion] != c.n {
		err = fmt.Errorf("another process sees its transaction %d, it has committed %d", at[companion], c.n)
	}
	return errors.Join(err, c.db.Close())
}
