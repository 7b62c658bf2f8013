package fusedisk

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// mustWrite writes n bytes of one letter.
func mustWrite(t *testing.T, d *Disk, letter byte, off int64, n int) {
	t.Helper()
	if _, err := d.WriteAt(bytes.Repeat([]byte{letter}, n), off); err != nil {
		t.Fatal(err)
	}
}

// sectors spells an image: a letter for each sector, '.' for zeros.
func sectors(t *testing.T, im io.ReaderAt, n int) string {
	t.Helper()
	var b []byte
	for i := range n {
		var s [Sector]byte
		if _, err := im.ReadAt(s[:], int64(i)*Sector); err != nil {
			t.Fatal(err)
		}
		c := s[0]
		if bytes.Count(s[:], []byte{c}) != Sector {
			c = '?'
		}
		b = append(b, max(c, '.'))
	}
	return string(b)
}

func TestCut(t *testing.T) {
	d := NewDisk(NewImage(2 * blockSize))
	mustWrite(t, d, 'a', 0, 4*Sector)      // 1
	mustWrite(t, d, 'b', 2*Sector, Sector) // 2
	if err := d.Flush(); err != nil {      // 3
		t.Fatal(err)
	}
	mustWrite(t, d, 'c', 3*Sector, 3*Sector) // 4
	mustWrite(t, d, 'd', 6*Sector, 4*Sector) // 5
	l := d.Log()
	if got := l.Flushes(); !slices.Equal(got, []int{3}) || d.Moment() != 5 {
		t.Fatalf("flushes at %v of %d operations", got, d.Moment())
	}
	for _, c := range []struct {
		moment int
		grain  int64
		keep   string // answers of keep, '1' is yes; more than that: no
		want   string
	}{
		{0, 0, "", "..........."},
		{2, 0, "", "..........."},
		{2, 0, "01", "..b........"},
		{2, Sector, "01", ".a........."},
		{2, 0, "11", "aaba......."},
		{3, 0, "", "aaba......."},
		{5, 0, "", "aaba......."},
		{5, 0, "01", "aaba..dddd."},
		{5, 0, "10", "aabccc....."},
		{5, Sector, "0100101", "aabac..d.d."},
		{5, blockSize, "010", "aaba..dd..."},
		{5, blockSize, "001", "aaba....dd."},
	} {
		p := l.Play()
		p.Advance(c.moment)
		answers := c.keep
		im := p.Cut(c.grain, func() bool {
			if answers == "" {
				return false
			}
			yes := answers[0] == '1'
			answers = answers[1:]
			return yes
		})
		if got := sectors(t, im, 11); got != c.want {
			t.Errorf("after %d, grain %d, %q: %s, want %s", c.moment, c.grain, c.keep, got, c.want)
		}
	}
	// No image has changed another one, or the disk.
	if got := sectors(t, d, 11); got != "aabcccdddd." {
		t.Errorf("the disk holds %s", got)
	}
	if got := sectors(t, l.Base, 11); got != "..........." {
		t.Errorf("the log begins with %s", got)
	}
}

func TestFaults(t *testing.T) {
	d := NewDisk(NewImage(blockSize))
	onB := func(p []byte, _ int64) bool { return p[0] == 'b' }
	fired := d.Inject(Fault{Kind: Write, Match: onB, After: 1, Torn: Sector})
	mustWrite(t, d, 'a', 0, Sector)
	mustWrite(t, d, 'b', Sector, Sector)
	select {
	case <-fired:
		t.Error("fired too early")
	default:
	}
	if n, err := d.WriteAt(bytes.Repeat([]byte{'b'}, 2*Sector), 2*Sector); n != 0 || !errors.Is(err, syscall.EIO) {
		t.Errorf("a failing write: %d, %v", n, err)
	}
	<-fired
	mustWrite(t, d, 'b', 4*Sector, Sector) // once, and no more
	if got := sectors(t, d, 6); got != "abb.b." {
		t.Errorf("the disk holds %s", got)
	}
	d.Inject(Fault{Kind: Flush})
	if err := d.Flush(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a failing flush: %v", err)
	}
	if len(d.Log().Flushes()) != 0 {
		t.Error("a flush that failed is in the log as one that did not")
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt(make([]byte, Sector), blockSize); err == nil {
		t.Error("wrote behind the end")
	}
}

// A disk is an array of bytes, whatever is written where; its log, played,
// gives the same bytes; a file keeps them.
func TestDiskIsAnArray(t *testing.T) {
	const size = 16 * blockSize
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	d, want := NewDisk(NewImage(size)), make([]byte, size)
	for range 300 {
		off := rnd.IntN(size)
		p := bytes.Repeat([]byte{byte(rnd.IntN(4))}, 1+rnd.IntN(min(size-off, 3*blockSize)))
		copy(want[off:], p)
		if _, err := d.WriteAt(p, int64(off)); err != nil {
			t.Fatal(err)
		}
		clear(p) // the disk has its own
		if rnd.IntN(10) == 0 {
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := d.Log().Play()
	p.Advance(d.Moment())
	im := p.Whole()
	name := filepath.Join(t.TempDir(), "image")
	if err := im.WriteFile(name); err != nil {
		t.Fatal(err)
	}
	read, err := ReadImage(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, r := range map[string]io.ReaderAt{"disk": d, "log": im, "file": read} {
		got := make([]byte, size)
		if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
			t.Errorf("seed %d: the %s holds other bytes (%v)", seed, what, err)
		}
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	p = d.Log().Play()
	p.Advance(d.Moment())
	got := make([]byte, size)
	if _, err := p.Cut(0, func() bool { return false }).ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("seed %d: a flush left something open (%v)", seed, err)
	}
}
