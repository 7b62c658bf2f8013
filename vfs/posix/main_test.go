//go:build unix

package posix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// children are the roles that the test binary plays when it runs itself again
// with DURUS_CHILD set.
var children = map[string]func(args []string) error{}

func TestMain(m *testing.M) {
	if role := os.Getenv("DURUS_CHILD"); role != "" {
		if err := children[role](os.Args[1:]); err != nil {
			_, _ = os.Stderr.WriteString(role + ": " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// put writes a file with package os.
func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// opened opens a file and closes it at the end of the test.
func opened(t testing.TB, path string, mode vfs.Mode) vfs.File {
	t.Helper()
	f := New().Open(path, mode)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// mustHold fails the test unless the directory holds these names and no other.
func mustHold(t testing.TB, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(names) {
		t.Fatalf("%s holds %q, want %q", filepath.Base(dir), got, names)
	}
	for i := range names {
		if got[i] != names[i] {
			t.Fatalf("%s holds %q, want %q", filepath.Base(dir), got, names)
		}
	}
}
