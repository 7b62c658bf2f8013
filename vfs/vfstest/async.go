package vfstest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/durusdb/durus/vfs"
)

// asyncRules are about the answers of an asynchronous storage, which is used
// without vfs.Blocking.
var asyncRules = []rule{
	{"Async_A14_AgainThenTheResult", againThenResult},
	{"Async_A16_RangesAreIndependent", rangesAreIndependent},
	{"Async_A16_ErrorsAreToldOnceAndRetried", errorsAreRetried},
	{"Async_Rule2_WriterOverItsBuffer", writerOverItsBuffer},
	{"Async_Rule2_CommitStays", commitStays},
}

// asyncFile opens a file, not through vfs.Blocking. The test is skipped where
// files are not asynchronous.
func (s *subject) asyncFile(base string, mode vfs.Mode) (vfs.File, vfs.Async) {
	s.Helper()
	f := s.open(s.Env.FS, base, mode)
	a, ok := f.(vfs.Async)
	s.need(ok, "the files of this storage wait (no vfs.Async)")
	return f, a
}

// asyncWriter is asyncFile for writers.
func (s *subject) asyncWriter(base string, mode vfs.CreateMode) (vfs.Writer, vfs.Ready) {
	s.Helper()
	w := s.Env.FS.Create(s.name(base), mode, 0o600)
	r, ok := w.(vfs.Ready)
	if !ok {
		s.check(w.Abort())
		s.Skip("the writers of this storage wait (no vfs.Ready)")
	}
	return w, r
}

// bell rings when something is ready.
type bell struct {
	s     *subject
	rings chan struct{}
}

func (s *subject) bell(r vfs.Ready) *bell {
	b := &bell{s, make(chan struct{}, 1)}
	r.OnReady(b.ring)
	return b
}

// ring keeps one ring for whoever listens later.
func (b *bell) ring() {
	select {
	case b.rings <- struct{}{}:
	default:
	}
}

// until asks again at each ring, and never without one, until the answer is
// not ErrAgain.
func (b *bell) until(op func() error) error {
	b.s.Helper()
	for {
		err := op()
		if !errors.Is(err, vfs.ErrAgain) {
			return err
		}
		select {
		case <-b.rings:
		case <-time.After(b.s.patience):
			b.s.Fatal("ErrAgain, and nothing became ready")
		}
	}
}

// read is ReadAt with its end. It is never told both, bytes and ErrAgain. // A14
func (b *bell) read(f vfs.File, p []byte, off int64) (n int, err error) {
	b.s.Helper()
	err = b.until(func() error {
		n, err = f.ReadAt(p, off)
		if errors.Is(err, vfs.ErrAgain) && n != 0 {
			b.s.Errorf("ReadAt = %d, and ErrAgain", n)
		}
		return err
	})
	return n, err
}

// Each operation is asked for until it answers, and then anew: what has changed
// meanwhile shows.
func againThenResult(s *subject) {
	want := pattern(1, 5000)
	s.create("x", want)
	f, a := s.asyncFile("x", vfs.Append)
	b := s.bell(a)
	look := func() {
		s.Helper()
		for range 2 {
			p := make([]byte, len(want)+10)
			if n, err := b.read(f, p, 0); n != len(want) || err != io.EOF || !bytes.Equal(p[:n], want) {
				s.Errorf("ReadAt = %d, %v; want %d", n, err, len(want))
			}
			var size int64
			err := b.until(func() (err error) { size, err = f.Size(); return err })
			if size != int64(len(want)) || err != nil {
				s.Errorf("Size = %d, %v; want %d", size, err, len(want))
			}
			var info vfs.Info
			err = b.until(func() (err error) { info, err = f.Stat(); return err })
			if info.Size != int64(len(want)) || err != nil {
				s.Errorf("Stat: %+v, %v; want %d", info, err, len(want))
			}
		}
	}
	look()
	if !s.props.Append {
		return
	}
	for i := range 4 { // of the same length: the same call, begun anew
		part := pattern(i, 300)
		var n int
		err := b.until(func() (err error) { n, err = f.Append(part, int64(len(want))); return err })
		if n != len(part) || err != nil {
			s.Fatalf("Append = %d, %v", n, err)
		}
		want = append(want, part...)
		s.check(b.until(f.Sync))
		look()
	}
	s.check(b.until(func() error { return f.Truncate(100) }))
	want = want[:100]
	look()
	err := b.until(func() error { _, err := f.Rewrite(want[:50], 0); return err })
	s.check(err)
	look()
	s.leadsTo("x", want)
}

// Many ranges are on their way at once, overlapping, and collected in any order.
func rangesAreIndependent(s *subject) {
	seed := s.seeded()
	rnd := rand.New(rand.NewPCG(seed, 0))
	want := pattern(1, 50_000)
	s.create("x", want)
	f, a := s.asyncFile("x", vfs.ReadOnly)
	b := s.bell(a)
	ranges := map[[2]int]bool{}
	for len(ranges) < 200 {
		ranges[[2]int{rnd.IntN(len(want) - 1000), 1 + rnd.IntN(1000)}] = true
	}
	check := func(r [2]int, p []byte, n int, err error) {
		if n != r[1] || err != nil || !bytes.Equal(p, want[r[0]:r[0]+r[1]]) {
			s.Errorf("ReadAt(%d bytes, %d) = %d, %v", r[1], r[0], n, err)
		}
	}
	for len(ranges) > 0 {
		for r := range ranges { // in another order each time
			p := make([]byte, r[1])
			n, err := f.ReadAt(p, int64(r[0]))
			if errors.Is(err, vfs.ErrAgain) && n == 0 {
				continue
			}
			check(r, p, n, err)
			delete(ranges, r)
		}
		if len(ranges) == 0 {
			return
		}
		select {
		case <-b.rings:
		case <-time.After(s.patience):
			s.Fatalf("%d ranges are on their way, and nothing became ready", len(ranges))
		}
	}
}

// An error is a result like others. That of opening stays, that of a read does
// not.
func errorsAreRetried(s *subject) {
	s.create("x", []byte("bytes"))
	f, a := s.asyncFile("x", vfs.ReadOnly)
	b := s.bell(a)
	for range 3 {
		p := make([]byte, 5)
		if n, err := b.read(f, p, -1); n != 0 || err == nil || err == io.EOF {
			s.Errorf("ReadAt(5 bytes, -1) = %d, %v", n, err)
		}
		if n, err := b.read(f, p, 0); n != 5 || err != nil && err != io.EOF || string(p) != "bytes" {
			s.Errorf("ReadAt after an error = %d, %v", n, err)
		}
	}
	missing, a := s.asyncFile("missing", vfs.ReadOnly)
	b = s.bell(a)
	for round := range 3 {
		_, err := b.read(missing, make([]byte, 1), 0)
		s.is("ReadAt", err, fs.ErrNotExist)
		s.is("Size", b.until(func() error { _, err := missing.Size(); return err }), fs.ErrNotExist)
		if round == 0 {
			s.create("missing", nil)
		}
	}
}

// A Writer takes a write whole, or none of it with ErrAgain; in the end the
// file holds what was taken, in order. What was taken was copied.
func writerOverItsBuffer(s *subject) {
	w, r := s.asyncWriter("x", vfs.FailIfExists)
	b := s.bell(r)
	want := pattern(1, 8<<20)
	buf := make([]byte, 64<<10)
	again := 0
	for p := range parts(want, len(buf)) {
		n := copy(buf, p)
		s.check(b.until(func() error {
			got, err := w.Write(buf[:n])
			switch {
			case errors.Is(err, vfs.ErrAgain):
				again++
				if got != 0 {
					s.Errorf("Write = %d, and ErrAgain", got)
				}
			case got != n && err == nil:
				s.Errorf("Write took %d of %d bytes", got, n)
			}
			return err
		}))
		clear(buf)
	}
	s.Logf("%d writes had to wait", again)
	s.isGone("x")
	s.check(b.until(w.Commit))
	s.leadsTo("x", want)
	large, r := s.asyncWriter("y", vfs.FailIfExists) // more than any buffer, at once
	b = s.bell(r)
	s.check(b.until(func() error { _, err := large.Write(want); return err }))
	s.check(b.until(large.Commit))
	s.leadsTo("y", want)
	s.remain("x", "y")
}

// The answer of Commit is final.
func commitStays(s *subject) {
	s.create("x", []byte("in the way"))
	w, r := s.asyncWriter("x", vfs.FailIfExists)
	b := s.bell(r)
	s.check(b.until(func() error { _, err := w.Write([]byte("bytes")); return err }))
	first := b.until(w.Commit)
	s.is("Commit", first, fs.ErrExist)
	for range 3 {
		if err := w.Commit(); err == nil || err.Error() != first.Error() {
			s.Errorf("Commit: %v, then %v", first, err)
		}
	}
	_, err := w.Write([]byte("more"))
	s.is("Write after Commit", err, vfs.ErrClosed)
	s.leadsTo("x", []byte("in the way"))
	s.remain("x")
}
