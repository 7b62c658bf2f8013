package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// childEnv makes the test binary the command itself.
const childEnv = "DURUS_EXAMPLE_WEBCACHE"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// get is a process that gets a page.
func get(t *testing.T, file string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe, append([]string{"-file", file, "get"}, args...)...)
	c.Env = append(os.Environ(), childEnv+"=1")
	c.Stdout = &bytes.Buffer{}
	return c
}

func printed(c *exec.Cmd) string { return c.Stdout.(*bytes.Buffer).String() }

// newCache opens a cache with bodies that live long, on the file at path.
func newCache(t testing.TB, path string, sync durus.SyncPolicy) *cache {
	t.Helper()
	db, err := durus.Open(path, &durus.Options{Sync: sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cache{db: db, ttl: time.Hour, lease: time.Minute, limit: 1 << 20}
}

// check compares the trees and the sum with the entries.
func (c *cache) check(t *testing.T) (entries int, size int64) {
	t.Helper()
	err := c.db.View(t.Context(), func(tx *durus.Tx) error {
		p := durus.Must(pages.Load(tx))
		entries, size = 0, 0
		for key, e := range durus.Each(tx, p.Entries.All(tx)) {
			entries++
			size += int64(len(e.Body))
			if n, found, err := p.Expiry.Get(tx, Expiry{e.Expires, key}); err != nil || !found || n != int64(len(e.Body)) {
				t.Errorf("%s expires with %d bytes, %v, %v", key, n, found, err)
			}
		}
		if n := durus.Must(p.Expiry.Len(tx)); n != entries {
			t.Errorf("%d entries are to expire, and there are %d", n, entries)
		}
		if n := durus.Must(p.Size.Value(tx)); n != size {
			t.Errorf("they count as %d bytes, and are %d", n, size)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries, size
}

// D1: processes that want the same page at the same time fetch it once.
func TestFetchedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(100 * time.Millisecond)
		fmt.Fprintf(w, "page %d\n", requests.Add(1))
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "cache.durus")
	var gets []*exec.Cmd
	for range 4 {
		c := get(t, path, server.URL, server.URL)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		gets = append(gets, c)
	}
	for _, c := range gets {
		if err := c.Wait(); err != nil || printed(c) != "page 1\npage 1\n" {
			t.Errorf("%v: %q", err, printed(c))
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Who is killed while it fetches keeps nobody waiting for longer than its lease.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	asked, release := make(chan bool, 1), make(chan bool)
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			asked <- true
			<-release
		}
		fmt.Fprint(w, "page")
	}))
	defer server.Close()
	defer close(release)
	path := filepath.Join(t.TempDir(), "cache.durus")
	first := get(t, path, "-lease", "1s", server.URL)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second := get(t, path, server.URL)
	if err := second.Run(); err != nil || printed(second) != "page" {
		t.Errorf("%v: %q", err, printed(second))
	}
}

func TestGet(t *testing.T) {
	c := newCache(t, filepath.Join(t.TempDir(), "cache.durus"), durus.SyncNever)
	failure := errors.New("no route")
	n := 0
	for i, step := range []struct {
		key  string
		ttl  time.Duration
		err  error
		hit  bool
		want string
	}{
		{key: "a", ttl: time.Hour, err: failure},
		{key: "a", ttl: time.Hour, want: "body 2"}, // a failure is not remembered
		{key: "a", ttl: time.Hour, want: "body 2", hit: true},
		{key: "b", ttl: time.Nanosecond, want: "body 3"},
		{key: "b", ttl: time.Hour, want: "body 4"},
		{key: "c", ttl: time.Nanosecond, want: "body 5"},
	} {
		c.ttl = step.ttl
		body, hit, err := c.Get(t.Context(), step.key, func(context.Context) ([]byte, error) {
			n++
			return fmt.Appendf(nil, "body %d", n), step.err
		})
		if !errors.Is(err, step.err) || hit != step.hit || string(body) != step.want {
			t.Errorf("step %d: %q, %v, %v", i, body, hit, err)
		}
	}
	c.check(t)

	// A computation that outlasts its lease ends, and its claim goes.
	c.lease = time.Millisecond
	_, _, err := c.Get(t.Context(), "slow", func(ctx context.Context) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("too slow: %v", err)
	}
	if err := c.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, size := c.check(t); entries != 2 || size != 12 {
		t.Errorf("%d entries with %d bytes are left of a and b", entries, size)
	}
}

// Bodies beyond the limit are removed, from the file, too.
func TestBounded(t *testing.T) {
	c := newCache(t, filepath.Join(t.TempDir(), "cache.durus"), durus.SyncNever)
	page := bytes.Repeat([]byte("x"), 50_000)
	for i := range 100 {
		if _, _, err := c.Get(t.Context(), fmt.Sprint(i), func(context.Context) ([]byte, error) { return page, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if entries, size := c.check(t); entries != 20 || size > c.limit {
		t.Errorf("%d entries with %d bytes, the limit is %d", entries, size, c.limit)
	}
	for key, want := range map[string]bool{"79": false, "80": true} { // what expires first goes first
		if e, err := c.look(t.Context(), key); err != nil || (e != nil) != want {
			t.Errorf("%s is there: %v, %v", key, e != nil, err)
		}
	}
	before := c.db.Stats().End
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := c.keepClean(ctx, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if after := c.db.Stats().End; before < 5_000_000 || after > 2*c.limit {
		t.Errorf("the file had %d bytes, and has %d", before, after)
	}
	c.check(t)
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out, io.Discard); err != nil || out.String() != usage {
		t.Errorf("without arguments: %v, %q", err, &out)
	}
	for want, args := range map[string][]string{
		`no command "burn"`: {"burn"},
		"get takes URLs":    {"get"},
		"take none":         {"stat", "x"},
		"must be more than": {"-limit", "0", "stat"},
		"flag provided":     {"-x"},
		"no such file":      {"stat"},
	} {
		err := run(t.Context(), append([]string{"-file", filepath.Join(dir, "x.durus")}, args...), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it has made %v, %v", files, err)
	}
}

// BenchmarkGet tells what the choice of Options.Sync is about.
func BenchmarkGet(b *testing.B) {
	for _, policy := range []struct {
		name string
		sync durus.SyncPolicy
	}{{"always", durus.SyncAlways}, {"interval", durus.SyncInterval}, {"never", durus.SyncNever}} {
		c := newCache(b, filepath.Join(b.TempDir(), "cache.durus"), policy.sync)
		page := bytes.Repeat([]byte("x"), 1000)
		compute := func(context.Context) ([]byte, error) { return page, nil }
		b.Run("fill/"+policy.name, func(b *testing.B) {
			for i := range b.N {
				if _, _, err := c.Get(b.Context(), fmt.Sprint(b.N, i), compute); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("hit/"+policy.name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := c.Get(b.Context(), "hit", compute); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
