package vfstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/durusdb/durus/vfs"
)

var randomRules = []rule{
	{"B2_RandomOperationsAgainstAModel", randomOperations},
}

// model is what the storage has to be like: files by name, and those that are
// open.
type model struct {
	s       *subject
	rnd     *rand.Rand
	grow    bool // files change in place
	files   map[string]*modelFile
	handles []*modelHandle
	history []string
}

// modelFile is one file, with or without a name.
type modelFile struct {
	data    []byte
	links   uint64
	settled int // bytes that will not change any more
}

// modelHandle is a handle of the storage and what it leads to.
type modelHandle struct {
	vfs.File
	base string
	mode vfs.Mode
	file *modelFile // nil: it was not opened yet
	err  error      // of opening
}

const (
	randomRounds = 3
	randomSteps  = 400
	maxHandles   = 6
	page         = 512
)

var randomNames = []string{"a", "b", "c"}

// Any operations in any order, from two processes, do what they do in a model
// of a few lines. Run on posix this tests the model, and elsewhere the storage.
func randomOperations(s *subject) {
	seed := s.seeded()
	for round := range randomRounds {
		m := &model{
			s: s, rnd: rand.New(rand.NewPCG(seed, uint64(round))), files: map[string]*modelFile{},
			grow: s.props.Append && s.props.StableSize,
		}
		for range randomSteps {
			m.step()
			if s.Failed() {
				last := m.history[max(0, len(m.history)-30):]
				s.Fatalf("round %d of seed %d, the newest steps: %q", round, seed, last)
			}
		}
		m.finish()
	}
}

// step does one thing.
func (m *model) step() {
	base, fsys := randomNames[m.rnd.IntN(len(randomNames))], m.s.view(m.rnd.IntN(2))
	switch k := m.rnd.IntN(30); {
	case k < 3:
		m.create(fsys, base)
	case k == 3:
		m.remove(fsys, base)
	case k == 4:
		m.name(fsys, base)
	case k == 5:
		m.list(fsys)
	case k < 8 || len(m.handles) == 0:
		m.open(fsys, base)
	default:
		m.use(m.handles[m.rnd.IntN(len(m.handles))])
	}
}

func (m *model) log(format string, args ...any) {
	m.history = append(m.history, fmt.Sprintf(format, args...))
}

// same reports a result that is not the model's.
func (m *model) same(got, want any) {
	m.s.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		m.s.Errorf("%s: got %s, want %s", m.history[len(m.history)-1], g, w)
	}
}

// kinds are the errors that the model knows apart.
var kinds = []error{fs.ErrNotExist, fs.ErrExist, vfs.ErrMode, vfs.ErrClosed, vfs.ErrNotSupported, io.EOF}

func kindOf(err error) error {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

func (m *model) bytes(n int) []byte { return pattern(m.rnd.IntN(256), n) }

func (m *model) create(fsys vfs.FS, base string) {
	mode := bothModes[m.rnd.IntN(2)]
	data := m.bytes(m.rnd.IntN(4) * m.rnd.IntN(2000))
	w := fsys.Create(m.s.name(base), mode, 0o600)
	for p := range parts(data, 1+m.rnd.IntN(3000)) {
		n, err := w.Write(p)
		m.log("Write(%d bytes) to %s", len(p), base)
		m.same(fmt.Sprint(n, err), fmt.Sprint(len(p), nil))
	}
	if m.rnd.IntN(8) == 0 {
		m.log("Abort(%s)", base)
		m.same(w.Abort(), nil)
		return
	}
	m.log("Commit(%s, mode %d, %d bytes)", base, mode, len(data))
	old := m.files[base]
	if old != nil && mode == vfs.FailIfExists {
		m.same(kindOf(w.Commit()), fs.ErrExist)
		return
	}
	m.same(w.Commit(), nil)
	if old != nil {
		old.links = 0
	}
	m.files[base] = &modelFile{data: data, links: 1}
}

func (m *model) remove(fsys vfs.FS, base string) {
	m.log("Remove(%s)", base)
	var want error
	if f := m.files[base]; f == nil {
		want = fs.ErrNotExist
	} else {
		f.links = 0
		delete(m.files, base)
	}
	m.same(kindOf(fsys.Remove(m.s.name(base))), want)
	m.same(fsys.SyncDir(m.s.name(base)), nil)
}

func (m *model) name(fsys vfs.FS, base string) {
	m.log("Stat(%s)", base)
	info, err := fsys.Stat(m.s.name(base))
	f := m.files[base]
	if f == nil {
		m.same(kindOf(err), fs.ErrNotExist)
		return
	}
	m.same(err, nil)
	m.same([]any{info.Size, info.Links, info.Type}, []any{len(f.data), f.links, fs.FileMode(0)})
}

func (m *model) list(fsys vfs.FS) {
	if !m.s.props.ReliableListing {
		return
	}
	m.log("List")
	names := []string{}
	for base := range m.files {
		names = append(names, m.s.name(base))
	}
	sort.Strings(names)
	got, err := list(fsys, m.s.Dir+"/")
	m.same(err, nil)
	m.same(got, names)
}

func (m *model) open(fsys vfs.FS, base string) {
	if len(m.handles) == maxHandles {
		m.close(m.rnd.IntN(maxHandles))
	}
	mode := vfs.ReadOnly
	if m.rnd.IntN(3) > 0 {
		mode = vfs.Append
	}
	m.log("Open(%s, mode %d)", base, mode)
	m.handles = append(m.handles, &modelHandle{File: fsys.Open(m.s.name(base), mode), base: base, mode: mode})
}

func (m *model) close(i int) {
	h := m.handles[i]
	m.handles = slices.Delete(m.handles, i, i+1)
	m.log("Close(%s)", h.base)
	m.same(h.Close(), nil)
	_, err := h.Size()
	m.same(kindOf(err), vfs.ErrClosed)
}

// opened finds out what a handle leads to at its first use.
func (m *model) opened(h *modelHandle) error {
	if h.file == nil && h.err == nil {
		if h.file = m.files[h.base]; h.file == nil {
			h.err = fs.ErrNotExist
		}
	}
	return h.err
}

// use does something with a handle.
func (m *model) use(h *modelHandle) {
	k := m.rnd.IntN(10)
	if k >= 6 && k < 9 {
		m.change(h, k)
		return
	}
	if k == 9 {
		m.advise(h)
		return
	}
	if err := m.opened(h); err != nil {
		m.log("Size(%s), which was not there", h.base)
		_, got := h.Size()
		m.same(kindOf(got), err)
		return
	}
	size := len(h.file.data)
	switch k {
	case 0:
		m.log("Size(%s)", h.base)
		n, err := h.Size()
		m.same([]any{n, err}, []any{size, nil})
	case 1:
		m.log("Stat of an open %s", h.base)
		info, err := h.Stat()
		m.same([]any{info.Size, info.Links, info.Type, err}, []any{size, h.file.links, fs.FileMode(0), nil})
	default:
		if m.rnd.IntN(2) == 0 {
			m.readPage(h)
			return
		}
		m.read(h, m.rnd.IntN(size+20), 1+m.rnd.IntN(size+50))
	}
}

func (m *model) read(h *modelHandle, off, n int) {
	m.log("ReadAt(%s, %d bytes, %d)", h.base, n, off)
	p := make([]byte, n)
	got, err := h.ReadAt(p, int64(off))
	want := h.file.data[min(off, len(h.file.data)):min(off+n, len(h.file.data))]
	if len(want) == n && off+n == len(h.file.data) && err == io.EOF {
		err = nil // io.ReaderAt leaves it open
	}
	var wantErr error
	if len(want) < n {
		wantErr = io.EOF
	}
	m.same([]any{got, err}, []any{len(want), wantErr})
	if !bytes.Equal(p[:got], want) {
		m.s.Errorf("%s: got %s, want %s", m.history[len(m.history)-1], brief(p[:got]), brief(want))
	}
}

// readPage reads what is read again and again: one of the few pages near the
// end of what was settled, or of the file.
func (m *model) readPage(h *modelHandle) {
	at := h.file.settled
	if m.rnd.IntN(2) == 0 {
		at = len(h.file.data)
	}
	m.read(h, max(0, at/page-1+m.rnd.IntN(3))*page, page)
}

// change appends, cuts or writes again. What was settled is not touched.
func (m *model) change(h *modelHandle, k int) {
	defer func() {
		if h.file != nil {
			m.readPage(h)
		}
	}()
	if h.mode == vfs.ReadOnly {
		m.log("Truncate(%s), opened ReadOnly", h.base)
		m.same(kindOf(h.Truncate(0)), vfs.ErrMode)
		return
	}
	if !m.grow {
		return
	}
	if err := m.opened(h); err != nil {
		m.log("Append(%s), which was not there", h.base)
		_, got := h.Append([]byte("x"), 0)
		m.same(kindOf(got), err)
		return
	}
	f := h.file
	from := f.settled + m.rnd.IntN(len(f.data)-f.settled+1)
	switch k {
	case 6:
		p := m.bytes(m.rnd.IntN(3000))
		m.log("Append(%s, %d bytes, %d)", h.base, len(p), len(f.data))
		n, err := h.Append(p, int64(len(f.data)))
		m.same([]any{n, err}, []any{len(p), nil})
		f.data = append(f.data, p...)
	case 7:
		m.log("Truncate(%s, %d)", h.base, from)
		m.same(h.Truncate(int64(from)), nil)
		f.data = slices.Clip(f.data[:from])
	case 8:
		p := m.bytes(m.rnd.IntN(len(f.data) - from + 1))
		m.log("Rewrite(%s, %d bytes, %d), then Sync", h.base, len(p), from)
		n, err := h.Rewrite(p, int64(from))
		m.same([]any{n, err}, []any{len(p), nil})
		copy(f.data[from:], p)
		m.same(h.Sync(), nil)
	}
}

// advise tells the truth about a range, and keeps it true.
func (m *model) advise(h *modelHandle) {
	if h.file == nil || len(h.file.data) == 0 {
		return
	}
	a := vfs.Advice(m.rnd.IntN(3))
	off, n := 0, 1+m.rnd.IntN(min(len(h.file.data), h.file.settled+page)) // settled by and by
	if m.rnd.IntN(2) == 0 {
		off = m.rnd.IntN(n)
		n -= off
	}
	m.log("Advise(%s, %d, %d, %d)", h.base, a, off, n)
	if a != vfs.Doubted { // what is read after WillNeed may be as old as that
		h.file.settled = max(h.file.settled, off+n)
	}
	vfs.Advise(h.File, a, int64(off), int64(n))
	if m.rnd.IntN(2) == 0 {
		m.read(h, off, n)
	}
}

// finish compares all that is there, and clears the directory.
func (m *model) finish() {
	for len(m.handles) > 0 {
		if h := m.handles[0]; m.opened(h) == nil {
			m.log("the end of %s", h.base)
			m.s.holds(h, h.file.data)
		}
		m.close(0)
	}
	for i := range 2 {
		m.list(m.s.view(i))
	}
	for base, f := range m.files {
		m.s.leadsTo(base, f.data)
		m.s.check(m.s.fs.Remove(m.s.name(base)))
	}
	m.s.remain()
}
