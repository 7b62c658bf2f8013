package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// command is the program in a process of its own.
func command(t *testing.T, file string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe, append([]string{"-file", file}, args...)...)
	c.Env = append(os.Environ(), childEnv+"=1")
	c.Stdout = &bytes.Buffer{}
	return c
}

func printed(c *exec.Cmd) string { return c.Stdout.(*bytes.Buffer).String() }

// newCache opens a cache with bodies that live long, on a new file.
func newCache(t testing.TB, sync durus.SyncPolicy, fetch func(context.Context, string) ([]byte, error)) *cache {
	t.Helper()
	db, err := durus.Open(filepath.Join(t.TempDir(), "cache.durus"), &durus.Options{Sync: sync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &cache{db, time.Hour, time.Minute, fetch}
}

// keys are what is in the cache, whose index must be right.
func (c *cache) keys(t *testing.T) string {
	t.Helper()
	keys, err := durus.Result(t.Context(), c.db.View, func(tx *durus.Tx) (string, error) {
		entries := durus.Must(root.Load(tx)).Entries
		var keys []string
		for key := range entries.All(tx) {
			keys = append(keys, key)
		}
		return strings.Join(keys, " "), entries.Check(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
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
		c := command(t, path, "get", server.URL)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		gets = append(gets, c)
	}
	for _, c := range gets {
		if err := c.Wait(); err != nil || printed(c) != "page 1\n" {
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
	first := command(t, path, "-lease", "1s", "get", server.URL)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second := command(t, path, "get", server.URL)
	if err := second.Run(); err != nil || printed(second) != "page" {
		t.Errorf("%v: %q", err, printed(second))
	}
}

func TestGet(t *testing.T) {
	var failure error
	n := 0
	c := newCache(t, durus.SyncNever, func(context.Context, string) ([]byte, error) {
		n++
		return fmt.Appendf(nil, "body %d", n), failure
	})
	noRoute := errors.New("no route")
	for i, step := range []struct {
		key  string
		ttl  time.Duration
		err  error
		want string
	}{
		{key: "a", ttl: time.Hour, err: noRoute},
		{key: "a", ttl: time.Hour, want: "body 2"}, // a failure is not remembered
		{key: "a", ttl: time.Hour, want: "body 2"},
		{key: "b", ttl: time.Nanosecond, want: "body 3"},
		{key: "b", ttl: time.Hour, want: "body 4"}, // the other has expired
		{key: "c", ttl: time.Nanosecond, want: "body 5"},
	} {
		c.ttl, failure = step.ttl, step.err
		body, err := c.get(t.Context(), step.key)
		if !errors.Is(err, step.err) || step.err == nil && string(body) != step.want {
			t.Errorf("step %d: %q, %v", i, body, err)
		}
		time.Sleep(time.Millisecond)
	}
	if keys := c.keys(t); keys != "a b c" {
		t.Errorf("the cache has %q", keys)
	}
	if err := c.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := c.keys(t); keys != "a b" {
		t.Errorf("%q is left of a and b", keys)
	}
}

// A fetch that outlasts its lease ends. If another has begun meanwhile, the late
// one has no say.
func TestLate(t *testing.T) {
	c := newCache(t, durus.SyncNever, func(ctx context.Context, _ string) ([]byte, error) {
		<-ctx.Done()
		return []byte("late"), nil
	})
	c.lease = time.Millisecond
	for _, me := range []string{"slow", "quick"} {
		if e, err := c.claim(t.Context(), "key", me); err != nil || e.Claim != me {
			t.Fatalf("%s has claimed %+v, %v", me, e, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	if _, err := c.fill(t.Context(), "key", "slow"); err != nil {
		t.Fatal(err)
	}
	if e, err := c.look(t.Context(), "key"); err != nil || e != nil {
		t.Errorf("the late one has stored %+v, %v", e, err)
	}
	if _, err := c.fill(t.Context(), "key", "quick"); err != nil {
		t.Fatal(err)
	}
	if e, err := c.look(t.Context(), "key"); err != nil || e == nil || string(e.Body) != "late" {
		t.Errorf("the other one has stored %+v, %v", e, err)
	}
}

// Who waits for somebody else's fetch waits no longer than its context.
func TestImpatient(t *testing.T) {
	c := newCache(t, durus.SyncNever, nil)
	if _, err := c.claim(t.Context(), "key", "another process"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if body, err := c.get(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it got %q, %v", body, err)
	}
}

// What has expired is removed from the file, too.
func TestSweep(t *testing.T) {
	page := bytes.Repeat([]byte("x"), 50_000)
	c := newCache(t, durus.SyncNever, func(context.Context, string) ([]byte, error) { return page, nil })
	for i := range 40 {
		c.ttl = time.Hour
		if i >= 2 {
			c.ttl = time.Nanosecond
		}
		if _, err := c.get(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	before := c.db.Stats().End
	time.Sleep(time.Millisecond)
	if err := c.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys, after := c.keys(t), c.db.Stats().End; keys != "0 1" || before < 2_000_000 || after > 200_000 {
		t.Errorf("the file had %d bytes, and has %d for %q", before, after, keys)
	}
}

// The commands as processes: what they say, and that a mistyped one makes no file.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	path := filepath.Join(t.TempDir(), "cache.durus")
	for _, step := range []struct {
		args []string
		want string // of an error; empty: there is none
	}{
		{nil, "use: get URL"},
		{[]string{"get"}, "use: get URL"},
		{[]string{"burn"}, "use: get URL"},
		{[]string{"sweep", "x"}, "use: get URL"},
		{[]string{"get", server.URL}, "answers 404"},
		{[]string{"get", "gopher://x"}, "unsupported protocol scheme"},
		{[]string{"sweep"}, ""},
	} {
		if _, err := os.Stat(path); strings.HasPrefix(step.want, "use") && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is a file: %v", err)
		}
		c := command(t, path, step.args...)
		var notes bytes.Buffer
		c.Stderr = &notes
		if err := c.Run(); (err == nil) != (step.want == "") || !strings.Contains(notes.String(), step.want) {
			t.Errorf("%v: %v, %s; want %q", step.args, err, &notes, step.want)
		}
	}
}

// BenchmarkGet tells what the choice of Options.Sync is about.
func BenchmarkGet(b *testing.B) {
	page := bytes.Repeat([]byte("x"), 1000)
	fetch := func(context.Context, string) ([]byte, error) { return page, nil }
	for _, policy := range []struct {
		name string
		sync durus.SyncPolicy
	}{{"always", durus.SyncAlways}, {"interval", durus.SyncInterval}, {"never", durus.SyncNever}} {
		c := newCache(b, policy.sync, fetch)
		b.Run("fill/"+policy.name, func(b *testing.B) {
			for i := range b.N {
				if _, err := c.get(b.Context(), fmt.Sprint(b.N, i)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("hit/"+policy.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.get(b.Context(), "hit"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
