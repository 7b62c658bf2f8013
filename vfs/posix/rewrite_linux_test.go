package posix

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// Blocks that stay unwritten are given up and written anew, and no other byte of
// the file changes, for ranges that begin and end anywhere. Preallocated blocks
// stand in for those of a write-back that failed: see internal/fusedisk for real
// ones. F5
func TestUnwrittenBlocksAreRenewed(t *testing.T) {
	for _, c := range []struct{ size, from, to int64 }{
		{200 << 10, 100_000, 170_000}, {200 << 10, 0, 200 << 10}, {70_001, 65_536, 70_001}, {5000, 4100, 4200}, {300 << 10, 64 << 10, 128 << 10},
	} {
		name := filepath.Join(t.TempDir(), "f")
		want := bytes.Repeat([]byte("0123456789abcdef!"), int(c.size)/17+1)[:c.size]
		put(t, name, string(want))
		f := opened(t, name, vfs.Append).(*file)
		h, err := f.open()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		lost, err := unwritten(h, c.from, c.to)
		if err != nil || len(lost) > 0 {
			t.Fatalf("written blocks count as %v, %v", lost, err)
		}
		// What is renewed is read first: here all of it, as if it were in the cache.
		from, to := c.from/4096*4096, (c.to+4095)/4096*4096
		if err := renew(h, extent{from, to}); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("SKIP: this file system does not punch holes")
		} else if err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, c.size+1)
		n, _ := f.ReadAt(got, 0)
		if int64(n) != c.size || !bytes.Equal(got[:n], want) {
			t.Errorf("%+v: the file has %d bytes, or others than before", c, n)
		}
		if n, err := f.Rewrite(want[c.from:c.to], c.from); n != int(c.to-c.from) || err != nil {
			t.Errorf("%+v: Rewrite: %d, %v", c, n, err)
		}
	}
}

// Preallocated blocks are found, and after Rewrite there are none.
func TestUnwrittenBlocksAreFound(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	put(t, name, "")
	f := opened(t, name, vfs.Append).(*file)
	h, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 10
	if err := withFD(h, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) }); err != nil {
		t.Skipf("SKIP: fallocate: %v", err)
	}
	lost, err := unwritten(h, 5000, 30_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(lost) == 0 {
		t.Skip("SKIP: this file system does not tell of unwritten extents")
	}
	if lost[0].from > 4096 || lost[len(lost)-1].to < 30_000 {
		t.Errorf("unwritten: %v", lost)
	}
	b := bytes.Repeat([]byte("x"), 25_000)
	if _, err := f.Rewrite(b, 5000); err != nil {
		t.Fatal(err)
	}
	if lost, err := unwritten(h, 5000, 30_000); err != nil || len(lost) > 0 {
		t.Errorf("after Rewrite: %v, %v", lost, err)
	}
	got := make([]byte, size)
	if n, err := f.ReadAt(got, 0); n != size || err != nil || !bytes.Equal(got[5000:30_000], b) || !bytes.Equal(got[:5000], make([]byte, 5000)) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
