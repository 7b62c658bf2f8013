package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
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
	server := httptest.NewServer(newHandler(db))
	t.Cleanup(func() {
		server.Close()
		if err := db.View(context.WithoutCancel(t.Context()), func(tx *durus.Tx) error {
			s := durus.Must(shop.Load(tx))
			for _, err := range []error{s.Products.Check(tx), s.Orders.Check(tx), s.Sessions.Check(tx)} {
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

// browser visits one server, and keeps its cookie.
type browser struct {
	t      *testing.T
	server string
	client http.Client
}

func newBrowser(t *testing.T, server *httptest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, server.URL, http.Client{Jar: jar}}
}

// do returns the status and the page that it ends at.
func (b *browser) do(method, path string) (int, string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.server+path, nil)
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Error(err)
	}
	return response.StatusCode, string(text)
}

// stock is how much there is of a product.
func stock(t *testing.T, db *durus.DB, article string) int {
	t.Helper()
	n, err := durus.Result(t.Context(), db.View, func(tx *durus.Tx) (int, error) {
		p, _, err := durus.Must(shop.Load(tx)).Products.Get(tx, article)
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

// D1: more buyers than teapots, at two servers at the same time. Each teapot is
// sold once. Then a worker, which is another process, ships them and restocks.
func TestLastTeapots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.durus")
	one, db := newServer(t, file)
	other, _ := newServer(t, file)
	if err := furnish(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	teapots, cups := stock(t, db, "pot"), stock(t, db, "cup")

	var buyers []*browser
	var wait sync.WaitGroup
	outcome := make([]int, 2*teapots+3)
	for i := range outcome {
		server := one
		if i%2 == 1 {
			server = other
		}
		b := newBrowser(t, server)
		buyers = append(buyers, b)
		wait.Go(func() {
			b.do("POST", "/cart/cup")
			b.do("POST", "/cart/pot")
			code, text := b.do("POST", "/order")
			outcome[i] = code
			if code == http.StatusConflict && !strings.Contains(text, "Teapot: there are only 0 left.") {
				t.Errorf("buyer %d is told\n%s", i, text)
			}
		})
	}
	wait.Wait()
	var happy []*browser
	for i, code := range outcome {
		switch code {
		case http.StatusOK:
			happy = append(happy, buyers[i])
		case http.StatusConflict:
		default:
			t.Errorf("buyer %d gets %d", i, code)
		}
	}
	if len(happy) != teapots || stock(t, db, "pot") != 0 || stock(t, db, "cup") != cups-teapots {
		t.Errorf("%d have one of %d teapots, %d are left, and %d of %d cups",
			len(happy), teapots, stock(t, db, "pot"), stock(t, db, "cup"), cups)
	}

	if testing.Short() {
		t.Skip("starts a process")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := exec.CommandContext(t.Context(), exe, "-file", file, "work", "-every", "10ms")
	w.Env = append(os.Environ(), childEnv+"=1")
	letters := &bytes.Buffer{}
	w.Stdout = letters
	if _, err := w.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	for _, b := range happy {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, text := b.do("GET", "/"); strings.Contains(text, "on its way") {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("the order is not shipped:\n%s", text)
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); stock(t, db, "pot") != delivery; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d teapots, not %d", stock(t, db, "pot"), delivery)
		}
	}
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = w.Wait()
	if n := strings.Count(letters.String(), "is on its way"); n > teapots {
		t.Errorf("%d letters about %d orders", n, teapots)
	}
}

func TestCart(t *testing.T) {
	server, db := newServer(t, filepath.Join(t.TempDir(), "shop.durus"))
	if err := furnish(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, server)
	for i, step := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/", http.StatusOK, "24 left"},
		{"POST", "/order", http.StatusConflict, "Your cart is empty."},
		{"POST", "/cart/cup", http.StatusOK, "Order for 9.00 €"},
		{"POST", "/cart/cup", http.StatusOK, "Order for 18.00 €"},
		{"POST", "/cart/tea", http.StatusOK, "Order for 24.90 €"},
		{"POST", "/cart/cup?take=out", http.StatusOK, "Order for 15.90 €"},
		{"POST", "/cart/tank", http.StatusConflict, "We do not sell this."},
		{"POST", "/order", http.StatusOK, "1 × Tea cup<br>1 × Assam"},
		{"GET", "/", http.StatusOK, "23 left"},
		{"POST", "/order", http.StatusConflict, "Your cart is empty."},
		{"GET", "/order", http.StatusMethodNotAllowed, ""},
	} {
		if code, text := b.do(step.method, step.path); code != step.code || !strings.Contains(text, step.want) {
			t.Errorf("step %d, %s %s: %d, want %q in\n%s", i, step.method, step.path, code, step.want, text)
		}
	}
	if _, text := newBrowser(t, server).do("GET", "/"); strings.Contains(text, "Your orders") {
		t.Error("a stranger sees orders")
	}
}

// Carts that nobody comes back for are dropped, and others kept.
func TestForget(t *testing.T) {
	_, db := newServer(t, filepath.Join(t.TempDir(), "shop.durus"))
	var left []string
	if err := db.Update(t.Context(), func(tx *durus.Tx) error {
		left = nil
		s := durus.Must(shop.Load(tx))
		for cookie, age := range map[string]time.Duration{"old": cartsLive + time.Minute, "new": time.Minute} {
			durus.Must(s.Sessions.Insert(tx, cookie, &Session{Used: time.Now().Add(-age)}))
		}
		if err := (worker{}).forget(tx, s); err != nil {
			return err
		}
		for cookie := range s.Sessions.All(tx) {
			left = append(left, cookie)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(left) != "[new]" {
		t.Errorf("the sessions %v are left", left)
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run(t.Context(), nil, &out); err != nil || out.String() != usage {
		t.Errorf("without arguments: %v, %q", err, &out)
	}
	for want, args := range map[string][]string{
		`no command "burn"`:   {"burn"},
		"takes nothing but":   {"serve", "x"},
		"and -every a time":   {"work", "-every", "0"},
		"flag provided":       {"-x"},
		"invalid value \"x\"": {"work", "-every", "x"},
	} {
		err := run(t.Context(), append([]string{"-file", filepath.Join(dir, "x.durus")}, args...), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("it has made %v, %v", files, err)
	}
}
