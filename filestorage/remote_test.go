package filestorage

import (
	"errors"
	"strings"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// elsewhere is a storage that other machines reach too, or that lacks something.
type elsewhere struct {
	*mem.Process
	props vfs.Props
}

func (e elsewhere) Props(string) vfs.Props { return e.props }

// A network file system is refused for writing unless it is allowed, by what it
// is and not by its name; reading is. Without locks or appends nothing may be
// written at all. F23 H6
func TestRemoteIsRefused(t *testing.T) {
	w := mustWorld(t)
	able := w.disk.Process("A").Props("")
	remote := able
	remote.Remote, remote.Kind = true, "nfs"
	lockless := able
	lockless.Locks = false
	for _, c := range []struct {
		name  string
		props vfs.Props
		opts  Options
		ok    bool
	}{
		{"local", able, Options{}, true},
		{"remote", remote, Options{}, false},
		{"remote, reading", remote, Options{ReadOnly: true}, true},
		{"remote, allowed", remote, Options{AllowRemote: true}, true},
		{"without locks", lockless, Options{}, false},
		{"without locks, reading", lockless, Options{ReadOnly: true}, true},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			opts := c.opts
			opts.FS, opts.Logger = elsewhere{w.disk.Process("A"), c.props}, quiet
			s, err := Open(worldPath, opts)
			if (err == nil) != c.ok {
				t.Fatalf("Open: %v, want ok %v", err, c.ok)
			}
			if err == nil {
				must(t, s.Close())
				return
			}
			if !errors.Is(err, vfs.ErrNotSupported) || !strings.Contains(err.Error(), worldPath) {
				t.Errorf("%v: want ErrNotSupported with the path", err)
			}
		})
	}
}
