package realdisk

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"golang.org/x/sys/unix"
)

// overlay mounts lower below a writable layer in the same directory, and
// returns where.
func overlay(t *testing.T, lower string) (merged string) {
	t.Helper()
	needMounts(t)
	home := t.TempDir()
	upper, work, merged := filepath.Join(home, "upper"), filepath.Join(home, "work"), filepath.Join(home, "merged")
	if err := errors.Join(os.Mkdir(upper, 0o700), os.Mkdir(work, 0o700), os.Mkdir(merged, 0o700)); err != nil {
		t.Fatal(err)
	}
	layers := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", merged, "overlay", 0, layers); err != nil {
		t.Skipf("SKIP: no overlayfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(merged, unix.MNT_DETACH) }) // it ends with the namespace at the latest
	return merged
}

// A database lies in the lower layer of an overlay. Processes that only read
// have it open from there when the first writer makes the kernel copy it up.
// They follow him all the same, or are told that the file was replaced and
// follow then; all writers write the copy, and the original stays as it is. F37
func TestOverlayCopyUp(t *testing.T) {
	for name, lower := range map[string]func() string{
		"one file system":  t.TempDir, // the inode keeps its number
		"two file systems": func() string { return newTmpfs(t, "size=1m") },
	} {
		t.Run(name, func(t *testing.T) {
			below := lower()
			commitAll(t, filepath.Join(below, "db"), nil, 1, 3)
			original, err := os.ReadFile(filepath.Join(below, "db"))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(overlay(t, below), "db")
			reader, err := durus.Open(path, &durus.Options{ReadOnly: true, Check: durus.CheckNothing, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			watcher := start(t, "watch", watchTask{Path: path, ReadOnly: true}, outfit{})
			watcher.expect("ready")
			at, _, err := look(reader)
			if err != nil || at != (state{2: 3}) {
				t.Fatalf("before there is a writer: %v, %v", at, err)
			}

			a := newAccount()
			other := newCompany("during", path, a)
			both := []*child{
				start(t, "commit", commitTask{Path: path, Process: 1, First: 1, Count: 20}, outfit{}),
				start(t, "commit", commitTask{Path: path, Process: 2, First: 4, Count: 20}, outfit{}),
			}
			for _, c := range both {
				c.wait()
			}
			if err := other.leave(); err != nil {
				t.Error(err)
			}
			for i, c := range both { // not before: the other one writes to the account, too
				a.add(i+1, c.all())
			}
			if a.count("ok") < 40 {
				t.Errorf("%d commits\n%s", a.count("ok"), a.complaints())
			}
			want := state{1: 20, 2: 23, companion: other.n}
			told := follow(t, reader, want)
			watcher.finish()
			a.watched(watcher.all())
			if a.seen != want {
				t.Errorf("another reader saw %v last, want %v: %q", a.seen, want, watcher.all())
			}
			for _, line := range watcher.all() {
				if strings.HasPrefix(line, "blind") && !strings.Contains(line, durus.ErrRewound.Error()) {
					t.Errorf("another reader: %s", line)
				}
			}
			t.Logf("readers that were there before were told %v; %q", told,
				slices.DeleteFunc(watcher.all(), func(s string) bool { return !strings.HasPrefix(s, "blind") }))
			if err := reader.Close(); err != nil {
				t.Error(err)
			}
			if _, err := judge(path, a, leniency{}); err != nil {
				t.Error(err)
			}
			if now, err := os.ReadFile(filepath.Join(below, "db")); err != nil || !bytes.Equal(now, original) {
				t.Errorf("the original has changed, %v", err)
			}
		})
	}
}

// follow looks until a reader sees a state, and returns what it was told
// before. It may be told once that the file was replaced.
func follow(t *testing.T, reader *durus.DB, want state) (told []error) {
	t.Helper()
	var at state
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var err error
		if at, _, err = look(reader); err == nil && at == want {
			return told
		}
		if err == nil {
			continue
		}
		if told = append(told, err); len(told) > 1 || !errors.Is(err, durus.ErrRewound) {
			t.Fatalf("a reader was told %v", told)
		}
	}
	t.Fatalf("a reader sees %v, want %v", at, want)
	return told
}
