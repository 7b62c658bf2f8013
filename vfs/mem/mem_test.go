package mem

import (
	"testing"

	"github.com/durusdb/durus/vfs"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// create makes a file with a Writer and opens it.
func create(tb testing.TB, p *Process, name string, data []byte) vfs.File {
	tb.Helper()
	w := p.Create(name, vfs.ReplaceIfExists, 0o600)
	if len(data) > 0 {
		_, err := w.Write(data)
		check(tb, err)
	}
	check(tb, w.Commit())
	check(tb, p.SyncDir(name))
	return p.Open(name, vfs.Append)
}
