package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// childEnv makes the test binary the command itself.
const childEnv = "DURUS_EXAMPLE_SHOP"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test, however that does
			os.Exit(1)
		}()
		main()
		return
	}
	os.Exit(m.Run())
}

// newServer is a server with a handle of its own, as a process has it.
func newServer(t *testing.T, file string) (*httptest.Server, *durus.DB) {
	t.Helper()
	db, err := durus.Open(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := furnish(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(db))
	t.Cleanup(func() {
		server.Close()
		if err := db.View(context.WithoutCancel(t.Context()), func(tx *durus.Tx) error {
			s := durus.Must(shop.Load(tx))
			for _, err := range []error{s.Products.Check(tx), s.Orders.Check(tx)} {
				if err != nil {
					t.Error(err)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, db
}

// do returns the status, the page, and the path that a request ends at.
func do(t *testing.T, method, url string) (code int, text, path string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return 0, "", ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(body), response.Request.URL.Path
}

// stock is how much there is of a product.
func stock(t *testing.T, db *durus.DB, product string) int {
	t.Helper()
	n, err := durus.Result(t.Context(), db.View, func(tx *durus.Tx) (int, error) {
		p, _, err := durus.Must(shop.Load(tx)).Products.Get(tx, product)
		if err != nil {
			return 0, err
		}
		return p.Stock, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// command is the program in a process of its own, which ends with the test.
func command(t *testing.T, file string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe, append([]string{"-file", file}, args...)...)
	c.Env = append(os.Environ(), childEnv+"=1")
	c.Stderr = &strings.Builder{}
	if _, err := c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	return c
}

func said(c *exec.Cmd) string { return c.Stderr.(*strings.Builder).String() }

// D1: more buyers than teapots, at two servers at the same time. Each teapot is
// sold once. Then two workers at the same time, which are processes of their own,
// ship each of them once, and restock.
func TestLastTeapots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.durus")
	one, db := newServer(t, file)
	other, _ := newServer(t, file)
	teapots := stock(t, db, "pot")
	type outcome struct {
		code       int
		text, path string
	}
	outcomes := make([]outcome, 2*teapots+3)
	var wait sync.WaitGroup
	for i := range outcomes {
		server := one
		if i%2 == 1 {
			server = other
		}
		wait.Go(func() {
			code, text, path := do(t, "POST", server.URL+"/buy/pot")
			outcomes[i] = outcome{code, text, path}
		})
	}
	wait.Wait()
	orders := map[string]bool{}
	for i, o := range outcomes {
		switch {
		case o.code == http.StatusOK && strings.Contains(o.text, "being packed"):
			orders[o.path] = true
		case o.code != http.StatusConflict || !strings.Contains(o.text, "the last one"):
			t.Errorf("buyer %d gets %d and\n%s", i, o.code, o.text)
		}
	}
	if left := stock(t, db, "pot"); teapots == 0 || len(orders) != teapots || left != 0 {
		t.Errorf("there are %d orders for %d teapots, and %d are left", len(orders), teapots, left)
	}

	if testing.Short() {
		t.Skip("starts processes")
	}
	workers := []*exec.Cmd{command(t, file, "work"), command(t, file, "work")}
	for _, w := range workers {
		if err := w.Start(); err != nil {
			t.Fatal(err)
		}
	}
	letters := ""
	for _, w := range workers {
		if err := w.Wait(); err != nil {
			t.Errorf("a worker: %v, %s", err, said(w))
		}
		letters += said(w)
	}
	for path := range orders {
		number := strings.TrimPrefix(path, "/orders/")
		if n := strings.Count(letters, number); n != 1 {
			t.Errorf("%d letters about order %s", n, number)
		}
		if code, text, _ := do(t, "GET", other.URL+path); code != http.StatusOK || !strings.Contains(text, "on its way since") {
			t.Errorf("order %s: %d, %s", number, code, text)
		}
	}
	if left := stock(t, db, "pot"); left != 12 {
		t.Errorf("%d teapots were delivered", left)
	}
}

// A server that is killed has lost nothing that it has confirmed.
func TestKilledServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String() // free, when it is closed
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shop.durus")
	server := command(t, file, "-addr", addr, "serve")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var dialer net.Dialer
		c, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			err = c.Close()
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	code, text, path := do(t, "POST", "http://"+addr+"/buy/cup")
	if code != http.StatusOK || !strings.Contains(text, "Your Tea cup for 9 € is") {
		t.Errorf("%d, %s", code, text)
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait()
	next, db := newServer(t, file)
	if code, text, _ := do(t, "GET", next.URL+path); code != http.StatusOK || !strings.Contains(text, "being packed") {
		t.Errorf("%d, %s", code, text)
	}
	if left := stock(t, db, "cup"); left != 23 {
		t.Errorf("%d cups are left", left)
	}
}

func TestPages(t *testing.T) {
	server, _ := newServer(t, filepath.Join(t.TempDir(), "shop.durus"))
	for i, step := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/", http.StatusOK, "24 left"},
		{"POST", "/buy/cup", http.StatusOK, "Your Tea cup for 9 € is"},
		{"GET", "/", http.StatusOK, "23 left"},
		{"POST", "/buy/tank", http.StatusNotFound, "there is no such thing here"},
		{"GET", "/orders/7", http.StatusNotFound, "there is no such thing here"},
		{"GET", "/buy/cup", http.StatusMethodNotAllowed, ""},
	} {
		if code, text, _ := do(t, step.method, server.URL+step.path); code != step.code || !strings.Contains(text, step.want) {
			t.Errorf("step %d, %s %s: %d, want %q in\n%s", i, step.method, step.path, code, step.want, text)
		}
	}
	if _, text, _ := do(t, "GET", server.URL); strings.Contains(text, "being packed") {
		t.Error("a stranger sees an order")
	}
}

func TestUsage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	file := filepath.Join(t.TempDir(), "shop.durus")
	for _, args := range [][]string{nil, {"burn"}, {"serve", "x"}, {"work", "x"}} {
		c := command(t, file, args...)
		if err := c.Run(); err == nil || !strings.Contains(said(c), "use: serve, or work") {
			t.Errorf("%v: %v, %s", args, err, said(c))
		}
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a mistyped command has made a file: %v", err)
	}
}
