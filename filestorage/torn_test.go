package filestorage

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// two is a synced database with a class and one object, as an image from which
// any number of equal disks can be made.
func two(t testing.TB) (*mem.Image, storage.OID) {
	t.Helper()
	d := mem.NewDisk()
	s := opened(t, worldPath, simulated(d.Process("A")))
	if _, err := s.ClassID(background, "torn.Thing"); err != nil {
		t.Fatal(err)
	}
	oid, err := s.NewOID(background)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := edit(s, oid, strings.Repeat("0", 40)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.SyncAll()
	for im := range d.Images(mem.Options{Models: mem.M2}) {
		return im, oid
	}
	t.Fatal("no image")
	return nil, 0
}

// shapes are the sizes of the commits that are torn.
var shapes = []struct {
	name string
	size int
}{{"small", 40}, {"9KiB", 9 << 10}}

// TestTornAtEveryByte kills a process after each byte of its commit. Readers
// and writers that had the file open, and one that opens it now, see the state
// before or, when nothing is missing, the commit; the next writer puts a frame
// of the same length into the place of the torn one, and everybody sees that.
// F1 F10 S25 S53 S55 S56 N1 H1 H8 D8
func TestTornAtEveryByte(t *testing.T) {
	im, oid := two(t)
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			step := 1
			if shape.size > 1000 && !tortured() {
				step = 7
			}
			old, dead, next := strings.Repeat("0", 40), strings.Repeat("x", shape.size), strings.Repeat("y", shape.size)
			n := 1
			for whole := false; !whole; n += step {
				var err error
				if whole, err = tornAt(im, oid, n, old, dead, next); err != nil {
					t.Fatalf("torn after %d bytes: %v", n, err)
				}
			}
			if n < shape.size {
				t.Fatalf("the frame was whole after %d bytes", n)
			}
		})
	}
}

// tornAt lets A die after n bytes of a commit of dead over old.
func tornAt(im *mem.Image, oid storage.OID, n int, old, dead, next string) (whole bool, err error) {
	d := im.Disk()
	var s [3]*Storage
	for i, name := range []string{"A", "B", "R"} {
		opts := simulated(d.Process(name))
		opts.ReadOnly = name == "R"
		if s[i], err = Open(worldPath, opts); err != nil {
			return false, err
		}
		if got, err := look(s[i], oid); err != nil || got != old {
			return false, fmt.Errorf("%s begins with %.10q, %w", name, got, err)
		}
	}
	a, b, r := s[0], s[1], s[2]
	from := a.current().end()
	d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpAppend}, Process: "A", Action: mem.KillAfter(n)})
	if _, err := edit(a, oid, dead); !errors.Is(err, mem.ErrKilled) {
		return false, fmt.Errorf("the killed commit ended with %w", err)
	}
	torn, err := d.ReadFile(worldPath)
	if err != nil {
		return false, err
	}
	length := int64(len(dead)) + frameHeaderSize + tableEntrySize + recordHeaderSize + trailerSize
	whole = int64(len(torn)) == from+length
	if len(torn) != int(from)+n && !whole {
		return false, fmt.Errorf("%d bytes were written", int64(len(torn))-from)
	}
	want := old
	for range 2 { // the second look finds the same tail again
		// R may not sync, so for it the frame is never durable by itself.
		if got, err := look(r, oid); err != nil || got != old {
			return whole, fmt.Errorf("a reader sees %.10q, %w", got, err)
		}
	}
	if whole {
		want = dead
	}
	c, err := Open(worldPath, simulated(d.Process("C")))
	if err != nil {
		return whole, err
	}
	for _, s := range []*Storage{c, b} {
		snap, err := s.Begin(background, true)
		if err != nil {
			return whole, err
		}
		got, err := state1(snap, oid)
		snap.Release()
		if err != nil || got != want {
			return whole, fmt.Errorf("a writer sees %.10q, %w", got, err)
		}
	}
	if _, err := edit(b, oid, next); err != nil {
		return whole, err
	}
	after, err := d.ReadFile(worldPath)
	if err != nil {
		return whole, err
	}
	if grown := int64(len(after)) - from; !whole && grown != length {
		return whole, fmt.Errorf("the new frame has %d bytes, the old one had %d", grown, length)
	}
	if !bytes.HasPrefix(after, torn[:from]) {
		return whole, errors.New("committed bytes were changed")
	}
	for _, s := range []*Storage{r, b, c} {
		if got, err := look(s, oid); err != nil || got != next {
			return whole, fmt.Errorf("afterwards somebody sees %.10q, %w", got, err)
		}
		if err := clean(s); err != nil {
			return whole, err
		}
	}
	return whole, errors.Join(b.Close(), c.Close(), r.Close())
}

// TestTailsThatAreNoFrames puts everything that a broken write, or a broken
// file system, may leave behind the last commit: readers never err and never
// move, and the next writer appends where the last frame ends.
// F1 F9 H1 S54 S56
func TestTailsThatAreNoFrames(t *testing.T) {
	im, oid := two(t)
	d := im.Disk()
	a := opened(t, worldPath, simulated(d.Process("A")))
	from := a.current().end()
	if _, err := edit(a, oid, strings.Repeat("x", 600)); err != nil {
		t.Fatal(err)
	}
	data, err := d.ReadFile(worldPath)
	if err != nil {
		t.Fatal(err)
	}
	frame := data[from:a.current().end()]
	zeros := func(n int) []byte { return make([]byte, n) }
	patched := func(off int, with []byte) []byte {
		b := bytes.Clone(frame)
		copy(b[off:], with)
		return b
	}
	tails := map[string][]byte{
		"one zero":                zeros(1),
		"a hole":                  zeros(4096),
		"a hole in place of data": zeros(len(frame)),
		"ones":                    bytes.Repeat([]byte{0xff}, 500),
		"a header without a body": patched(frameHeaderSize, zeros(len(frame))),
		"a body without a header": patched(0, zeros(frameHeaderSize)),
		"no trailer":              patched(len(frame)-trailerSize, zeros(trailerSize)),
		"a sector of zeros":       patched(200, zeros(300)),
		"magic again and again":   bytes.Repeat([]byte{0x64, 0x46, 0x72, 0x6d}, 300),
		"a frame, misdirected":    append(zeros(7), frame...),
		"an older frame again":    data[headerSize:from],
		"a frame and its copy":    append(patched(len(frame)-1, []byte{0}), frame...),
	}
	for name, tail := range tails {
		t.Run(name, func(t *testing.T) {
			d := im.Disk()
			r := opened(t, worldPath, simulated(d.Process("R")))
			if _, err := look(r, oid); err != nil {
				t.Fatal(err)
			}
			if err := d.WriteFile(worldPath, append(bytes.Clone(data[:from]), tail...)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got, err := look(r, oid); err != nil || got != strings.Repeat("0", 40) {
					t.Fatalf("a reader sees %.10q, %v", got, err)
				}
			}
			w := opened(t, worldPath, simulated(d.Process("W")))
			if _, err := edit(w, oid, "next"); err != nil {
				t.Fatal(err)
			}
			for _, s := range []*Storage{r, w} {
				if got, err := look(s, oid); err != nil || got != "next" {
					t.Fatalf("afterwards somebody sees %.10q, %v", got, err)
				}
				if err := clean(s); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestEqualLengthWhilePolling: a frame is torn; readers that saw the tail poll
// while another writer replaces it by a frame of exactly the same length, in
// all interleavings that a few hundred seeds find. Nobody ever returns a byte
// of the dead frame, and everybody sees the new one at the end. N1 S55
func TestEqualLengthWhilePolling(t *testing.T) {
	im, oid := two(t)
	seeds := 150
	if tortured() {
		seeds = 5000
	}
	old, lost, next := strings.Repeat("0", 40), strings.Repeat("x", 3000), strings.Repeat("y", 3000)
	for seed := range seeds {
		d := im.Disk()
		d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpAppend}, Process: "A", Action: mem.KillAfter(1 + seed*37%3100)})
		var failed error
		dead := false
		reader := func(p *mem.Process) {
			s, err := Open(worldPath, simulated(p))
			for i := 0; err == nil && i < 12; i++ {
				var got string
				if got, err = look(s, oid); err == nil && got != old && got != next {
					err = fmt.Errorf("a reader sees %.10q", got)
				}
			}
			if err != nil {
				failed = err
			}
		}
		err := d.Run(mem.Seeded(uint64(seed)),
			func(p *mem.Process) {
				defer func() { dead = true }()
				s, err := Open(worldPath, simulated(p))
				if err == nil {
					_, err = edit(s, oid, lost)
				}
				failed = fmt.Errorf("A should have been killed: %w", err)
			},
			func(p *mem.Process) {
				s, err := Open(worldPath, simulated(p))
				for err == nil && !dead {
					err = p.Yield()
				}
				if err == nil {
					_, err = edit(s, oid, next)
				}
				if err != nil {
					failed = err
				}
			}, reader, reader)
		if err == nil {
			err = failed
		}
		s := opened(t, worldPath, simulated(d.Process("Z")))
		if err == nil {
			err = clean(s)
		}
		got, lerr := look(s, oid)
		if err != nil || lerr != nil || got != next {
			t.Fatalf("seed %d: %v, %v; at the end %.10q", seed, err, lerr, got)
		}
	}
}
