package main

import (
	"bufio"
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/vfs/posix"
)

// What does not fit on the screen is counted; the head never scrolls away.
func TestTopFitsTheScreen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.durus")
	st, err := filestorage.Open(path, filestorage.Options{FS: posix.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	state, err := st.LockState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := &look{at: time.Now(), took: time.Second, commits: 30, conflicts: 12, state: state, known: true}
	for i := range 40 {
		k.users = append(k.users, posix.Opener{PID: i + 1, Command: strings.Repeat("long ", 30)})
	}
	for _, rows := range []int{0, 8, 14, 24, 60} {
		var buf bytes.Buffer
		w := watcher{app: &app{out: bufio.NewWriter(&buf), color: true, size: func() (int, int) { return 60, rows }}, st: st}
		if err := w.show(k, true); err != nil {
			t.Fatal(err)
		}
		out := buf.String()
		lines := strings.Count(out, "\n")
		if rows >= 14 && lines >= rows {
			t.Errorf("%d lines on %d rows:\n%s", lines, rows, out)
		}
		if cut := rows > 0 && rows < 60; strings.Contains(out, "more\n") != cut {
			t.Errorf("%d rows: all processes or not:\n%s", rows, out)
		}
		if !strings.Contains(out, "12/s  before they were committed") {
			t.Errorf("no conflicts:\n%s", out)
		}
		if rows == 14 {
			t.Log(out)
		}
	}
}
