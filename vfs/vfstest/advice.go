package vfstest

import (
	"bytes"
	"math"

	"github.com/durusdb/durus/vfs"
)

// adviceRules are about hints, mappings and layers.
var adviceRules = []rule{
	{"Rule13_AdviceChangesNothing", adviceChangesNothing},
	{"Rule13_OnlySettledBytesAreKept", onlySettledBytes},
	{"Rule12_LayersEnd", layersEnd},
	{"MappedBytesAreTheFiles", mappedBytes},
	{"MappingsShowWhatIsAppended", liveMapping},
}

// Whatever is said of whatever range of whatever handle: no panic, and the same
// bytes.
func adviceChangesNothing(s *subject) {
	want := pattern(1, 20_000)
	s.create("x", want)
	closed := s.fs.Open(s.name("x"), vfs.ReadOnly)
	s.check(closed.Close())
	f := s.opened(s.fs, "x", vfs.ReadOnly)
	bounds := []int64{math.MinInt64, -1, 0, 1, 4095, 8192, 19_999, 20_000, 20_001, 1 << 40, math.MaxInt64}
	for _, g := range []vfs.File{f, s.open(s.fs, "x", vfs.Append), s.open(s.fs, "missing", vfs.ReadOnly), closed} {
		for _, advice := range []vfs.Advice{vfs.WillNeed, vfs.Settled, vfs.Doubted, 3, 255} {
			for _, off := range bounds {
				for _, n := range bounds {
					vfs.Advise(g, advice, off, n)
				}
			}
			p := make([]byte, 5000)
			if n, err := f.ReadAt(p, 7000); n != len(p) || err != nil || !bytes.Equal(p, want[7000:12_000]) {
				s.Errorf("ReadAt after advice %d = %d, %v", advice, n, err)
			}
		}
	}
	s.holds(f, want)
	if n, err := f.Size(); n != 20_000 || err != nil {
		s.Errorf("Size = %d, %v", n, err)
	}
	_, err := closed.Size()
	s.is("Size of a closed handle that got advice", err, vfs.ErrClosed)
	s.isGone("missing")
}

// What was settled stays; what lies behind it may be cut and written anew, by
// anybody, and is never answered from memory. // B8, B11
func onlySettledBytes(s *subject) {
	s.grows()
	s.need(s.props.StableSize, "sizes may be stale here (Props.StableSize)")
	model := pattern(0, 10_000)
	s.create("x", model)
	f, g := s.opened(s.fs, "x", vfs.Append), s.opened(s.other, "x", vfs.Append)
	settled := 0
	for i := range 30 {
		for _, r := range []vfs.File{f, g} {
			s.holds(r, model)
			vfs.Advise(r, vfs.Settled, 0, int64(settled))
			if i%4 == 3 {
				vfs.Advise(r, vfs.Doubted, 0, int64(settled))
			}
		}
		w := []vfs.File{f, g}[i%2]
		cut := settled + (len(model)-settled)*(i%3)/3
		model = append(model[:cut:cut], pattern(i, 700)...)
		s.check(w.Truncate(int64(cut)))
		n, err := w.Append(model[cut:], int64(cut))
		if n != 700 || err != nil {
			s.Fatalf("Append = %d, %v", n, err)
		}
		settled += (len(model) - settled) / 5
	}
	s.leadsTo("x", model)
}

// A stack of wrappers has a bottom, and advice finds it. // B9
func layersEnd(s *subject) {
	s.create("x", []byte("bytes"))
	for _, fsys := range []vfs.FS{s.Env.FS, s.fs} {
		f := s.open(fsys, "x", vfs.ReadOnly)
		layers := 0
		for g := f; ; layers++ {
			w, ok := g.(interface{ Unwrap() vfs.File })
			if !ok {
				break
			}
			if g = w.Unwrap(); g == nil || layers > 100 {
				s.Fatalf("%T leads to %v after %d layers", f, g, layers)
			}
		}
		if vfs.Base(f) == nil {
			s.Errorf("Base of %T is nil", f)
		}
	}
}

// mapper finds the layer that maps.
func mapper(f vfs.File) vfs.Mapper {
	for {
		if m, ok := f.(vfs.Mapper); ok {
			return m
		}
		w, ok := f.(interface{ Unwrap() vfs.File })
		if !ok {
			return nil
		}
		f = w.Unwrap()
	}
}

// liveMapping: what is appended shows in a mapping that was made before, also behind
// the end that the file had, and so does what is written again.
func liveMapping(s *subject) {
	s.need(s.props.Mapping && s.props.LiveMapping, "mappings may be old here (Props.LiveMapping)")
	s.need(s.props.Append, "files of this storage cannot grow (Props.Append)")
	const page = 64 << 10 // a multiple of any machine's
	s.create("x", pattern(1, 100))
	f := s.opened(s.fs, "x", vfs.Append)
	m, unmap, err := mapper(f).Map(0, 4*page)
	s.check(err)
	defer func() { s.check(unmap()) }()
	want := pattern(1, 100)
	for _, n := range []int{1, 1000, page, 2 * page} {
		p := pattern(n, n)
		_, err := f.Append(p, int64(len(want)))
		s.check(err)
		want = append(want, p...)
		if !bytes.Equal(m[:len(want)], want) {
			s.Errorf("after an append to %d bytes the mapping shows %s", len(want), brief(m[:len(want)]))
		}
	}
	_, err = f.Rewrite(want[50:60], 50)
	s.check(err)
	if !bytes.Equal(m[:len(want)], want) {
		s.Errorf("after a rewrite the mapping shows %s", brief(m[:len(want)]))
	}
}

func mappedBytes(s *subject) {
	s.need(s.props.Mapping, "files of this storage are not mapped (Props.Mapping)")
	const page = 64 << 10 // a multiple of any machine's
	want := pattern(1, 3*page)
	s.create("x", want)
	f := s.opened(s.fs, "x", vfs.ReadOnly)
	m := mapper(f)
	if m == nil {
		s.Fatalf("Props.Mapping, and no layer of %T is a Mapper", f)
	}
	var unmaps []func() error
	for _, c := range []struct{ off, n int }{{0, 1}, {0, 3 * page}, {page, 100}, {2 * page, page}} {
		b, unmap, err := m.Map(int64(c.off), c.n)
		s.check(err)
		unmaps = append(unmaps, unmap)
		if !bytes.Equal(b, want[c.off:c.off+c.n]) {
			s.Errorf("Map(%d, %d) shows %s", c.off, c.n, brief(b))
		}
	}
	for _, unmap := range unmaps {
		s.check(unmap())
	}
	_, _, missing := mapper(s.open(s.fs, "missing", vfs.ReadOnly)).Map(0, 1)
	if missing == nil {
		s.Error("a file that is not there was mapped")
	}
	closed := s.fs.Open(s.name("x"), vfs.ReadOnly)
	s.check(closed.Close())
	_, _, err := mapper(closed).Map(0, 1)
	s.is("Map after Close", err, vfs.ErrClosed)
}
