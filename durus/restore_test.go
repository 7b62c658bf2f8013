package durus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/backup"
	"github.com/durusdb/durus/vfs/posix"
)

// restoreChildEnv makes the test binary a process that has a database open
// while it is restored. A path that begins with "+" is opened to write.
const restoreChildEnv = "DURUS_RESTORE_CHILD"

// restoreChild answers each line of standard input with a line: "read" with the
// balances of a and b, "write" with what it has made of them; or with the
// kind of error.
func restoreChild(path string) int {
	path, writes := strings.CutPrefix(path, "+")
	db, err := Open(path, &Options{ReadOnly: !writes, MustExist: true})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	defer db.Close()
	ctx := context.Background()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		run := db.View
		if in.Text() == "write" {
			run = db.Update
		}
		var a, b int64
		err := run(ctx, func(tx *Tx) error {
			x, y := Must(named(tx, "a")), Must(named(tx, "b"))
			if in.Text() == "write" {
				Must(x.Edit(tx)).Balance--
				Must(y.Edit(tx)).Balance++
			}
			a, b = Must(x.Load(tx)).Balance, Must(y.Load(tx)).Balance
			return nil
		})
		switch {
		case errors.Is(err, ErrRewound):
			fmt.Println("rewound")
		case err != nil:
			fmt.Println("error:", err)
		default:
			fmt.Println(a, b)
		}
	}
	return 0
}

// F25, F26, acceptance test 19: a database is restored under three processes,
// in every way that people know. Each is told, or sees what was restored, at
// its next look; none is served an object of the old file from its memory, and
// all go on in one history.
func TestRestoreUnderProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const noticed = 60 * time.Millisecond // when a reader looks what the path leads to
	ways := []struct {
		name  string
		other bool // what is restored is another database
		do    func(t *testing.T, path, old, vault string) error
	}{
		{"renamed over", false, func(t *testing.T, path, old, _ string) error {
			defer time.Sleep(noticed)
			return os.Rename(old, path)
		}},
		{"copied in place", false, func(t *testing.T, path, old, _ string) error {
			data, err := os.ReadFile(old)
			if err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o600)
		}},
		{"truncated", false, func(t *testing.T, path, old, _ string) error {
			info, err := os.Stat(old)
			if err != nil {
				return err
			}
			return os.Truncate(path, info.Size())
		}},
		{"the lock file gone, too", false, func(t *testing.T, path, old, _ string) error {
			defer time.Sleep(noticed)
			return errors.Join(os.Remove(path+".lock"), os.Rename(old, path))
		}},
		{"restored from a directory", false, func(t *testing.T, path, _, vault string) error {
			defer time.Sleep(noticed)
			_, err := backup.Restore(t.Context(), posix.New(), vault, path, backup.RestoreOptions{Overwrite: true})
			return err
		}},
		{"another database", true, func(t *testing.T, path, _, _ string) error {
			db, err := Open(path+".other", nil)
			if err != nil {
				return err
			}
			openAccounts(t, db, 7, 8)
			defer time.Sleep(noticed)
			return errors.Join(db.Close(), os.Rename(path+".other", path))
		}},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			dir := t.TempDir()
			path, old, vault := filepath.Join(dir, "bank.durus"), filepath.Join(dir, "old"), filepath.Join(dir, "vault")
			db, err := Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close() // what it says of another database does not matter
			ra, rb := openAccounts(t, db, 100, 900)
			// A plain copy has no mark: who may only read it sees what the last
			// transaction knew to be durable, the one before.
			update(t, db, func(tx *Tx) error { Must(rb.Edit(tx)).Tags = []string{"last"}; return nil })
			if err := copyForRestore(t, path, old, vault); err != nil {
				t.Fatal(err)
			}
			children := []*childProcess{
				startChildIn(t, restoreChildEnv, path), startChildIn(t, restoreChildEnv, "+"+path), startChildIn(t, restoreChildEnv, "+"+path),
			}
			for _, c := range children[1:] {
				c.ask(t, "write")
			}
			update(t, db, func(tx *Tx) error { Must(ra.Edit(tx)).Tags = []string{strings.Repeat("x", 5000)}; return nil })
			for i, c := range children {
				if got := c.ask(t, "read"); got != "98 902" {
					t.Fatalf("process %d sees %s", i, got)
				}
			}
			if err := way.do(t, path, old, vault); err != nil {
				t.Fatal(err)
			}
			for i, c := range children {
				what := "read"
				if i == 2 && way.other {
					what = "write"
				}
				first := c.ask(t, "%s", what)
				second := c.ask(t, "read")
				if way.other {
					if first != "rewound" || second != "rewound" {
						t.Errorf("process %d says %s and %s of another database", i, first, second)
					}
					continue
				}
				if first != "rewound" && first != "100 900" || second != "100 900" {
					t.Errorf("process %d sees %s, then %s", i, first, second)
				}
			}
			if !way.other {
				for i, want := range []string{"99 901", "98 902"} {
					if got := children[1+i].ask(t, "write"); got != want {
						t.Errorf("process %d has written %s, want %s", 1+i, got, want)
					}
					for k, c := range children {
						if got := c.ask(t, "read"); got != want {
							t.Errorf("process %d sees %s, want %s", k, got, want)
						}
					}
				}
			}
			for _, c := range children {
				if err := c.in.Close(); err != nil {
					t.Error(err)
				}
				if err := c.cmd.Wait(); err != nil {
					t.Error(err)
				}
			}
			last, err := Open(path, &Options{MustExist: true})
			if err != nil {
				t.Fatal(err)
			}
			verify(t, last)
			if err := last.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// copyForRestore takes a plain copy and a backup.
func copyForRestore(t *testing.T, path, old, vault string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(old, data, 0o600), os.Mkdir(vault, 0o700)); err != nil {
		return err
	}
	st, err := openEngine(path)
	if err != nil {
		return err
	}
	_, err = backup.Incremental(t.Context(), st, posix.New(), vault, backup.Options{})
	return errors.Join(err, st.Close())
}
