package durus

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A database on another storage than the machine's files makes no system call
// that has to do with files: every byte goes through package vfs. B1
func TestNoFilesWithoutPosix(t *testing.T) {
	const begin, end = "/the-database-begins", "/the-database-ends"
	if os.Getenv("DURUS_UNDER_STRACE") != "" {
		_, _ = os.Stat(begin)
		err := inMemory()
		_, _ = os.Stat(end)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIP: there is no strace")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-qq", "-o", trace, "-e", "trace=%file,pread64,pwrite64,lseek,fsync,fdatasync,flock,ftruncate,fstat,getdents64,mmap",
		os.Args[0], "-test.run", "^TestNoFilesWithoutPosix$")
	cmd.Env = append(os.Environ(), "DURUS_UNDER_STRACE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "ptrace") {
			t.Skipf("SKIP: strace does not work here: %s", out)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), begin)
	inside, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("the marks are not in the trace of %d bytes", len(b))
	}
	lines := strings.Split(inside, "\n")
	for _, line := range lines[1 : len(lines)-1] { // those of the marks are cut
		call := strings.TrimLeft(line, " 0123456789") // behind the number of the thread
		if strings.HasPrefix(call, "mmap(") && strings.Contains(call, "MAP_ANONYMOUS") {
			continue // memory for Go's heap
		}
		if strings.HasPrefix(call, "<...") {
			continue // the end of a call: another line has its beginning, arguments included
		}
		if call != "" && !strings.HasPrefix(call, "+++") && !strings.HasPrefix(call, "---") {
			t.Errorf("a system call about files: %s", line)
		}
	}
}

// inMemory uses much of a database in memory.
func inMemory() error {
	db, err := OpenMemory(nil)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for range 20 {
		err = errors.Join(err, db.Update(ctx, func(tx *Tx) error {
			b, err := theBank.Edit(tx)
			if err != nil {
				return err
			}
			if b.Accounts == nil {
				b.Accounts = map[string]Ref[account]{}
			}
			b.Accounts["x"], err = Add(tx, &account{Owner: "x"})
			return err
		}))
		err = errors.Join(err, db.View(ctx, func(tx *Tx) error {
			b, err := theBank.Load(tx)
			if err != nil {
				return err
			}
			return tx.Prefetch(b.Accounts["x"].Any())
		}))
	}
	return errors.Join(err, db.Sync(ctx), db.Close())
}
