package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// A random life of a few files, looked at through caches and past them, by two
// processes: all answers are the same. What is advised to be settled is not
// changed afterwards, but by a restore, after which all is in doubt. // B7, B8, B11, H8, F26
func TestModel(t *testing.T) {
	const steps = 2500
	everything := int64(1 << 30)
	for _, c := range []struct {
		page  int
		bytes int64
	}{{16, 1}, {16, 5 * (16 + pageOverhead)}, {16, everything}, {64, 1000}, {64, everything}, {512, 5000}, {4096, 1}, {4096, everything}} {
		for _, async := range []bool{false, true} {
			t.Run(fmt.Sprintf("page %d, %d bytes, async %v", c.page, c.bytes, async), func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				m := newModel(t, seed, Options{Page: c.page, Bytes: c.bytes}, async)
				for i := 0; i < steps && !t.Failed(); i++ {
					m.step()
				}
				m.end()
			})
		}
	}
}

// model is two processes, each with a cache, and a third one that looks at the
// disk itself.
type model struct {
	t       *testing.T
	rnd     *rand.Rand
	d       *mem.Disk
	caches  [2]*FS
	systems [2]vfs.FS // as they are used
	direct  vfs.FS
	limit   int64
	handles []*handle
	nodes   map[vfs.FileID]*node
}

// node is a file that is open.
type node struct {
	settled int64 // bytes that nobody changes
	opens   int
}

// handle is a file opened through a cache, and past it.
type handle struct {
	f, direct vfs.File
	fs        int
	id        vfs.FileID
	*node
}

func newModel(t *testing.T, seed uint64, opts Options, async bool) *model {
	m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 4)), d: mem.NewVolatile(), nodes: map[vfs.FileID]*node{}}
	m.direct = m.d.Process("direct")
	for i := range m.caches {
		var lower vfs.FS = m.d.Process("cached")
		if async {
			lower = &lazy{FS: lower, busy: true}
		}
		m.caches[i] = New(lower, opts)
		m.systems[i] = vfs.Blocking(m.caches[i])
	}
	m.limit = max(opts.Bytes, int64(opts.Page)+pageOverhead)
	m.replace()
	return m
}

func (m *model) bytes(most int) []byte {
	b := make([]byte, m.rnd.IntN(most+1))
	for i := range b {
		b[i] = byte(m.rnd.IntN(3)) // so that other bytes are often the same
	}
	return b
}

func (m *model) below(n int64) int64 { return m.rnd.Int64N(n + 1) }

func (m *model) step() {
	if len(m.handles) == 0 || len(m.handles) < 8 && m.rnd.IntN(20) == 0 {
		m.open()
	}
	k := m.rnd.IntN(len(m.handles))
	h := m.handles[k]
	size, err := h.direct.Size()
	check(m.t, err)
	switch m.rnd.IntN(30) {
	case 0:
		m.replace()
	case 1:
		m.close(k)
	case 2:
		m.restore()
	case 3, 4, 5, 6:
		m.append(h, size)
	case 7, 8:
		check(m.t, h.f.Truncate(h.settled+m.below(size-h.settled)))
	case 9, 10:
		m.rewrite(h, size)
	case 11, 12, 13:
		from := m.below(h.settled)
		h.settled += m.below(size - h.settled)
		vfs.Advise(h.f, vfs.Settled, from, h.settled-from)
		vfs.Advise(h.f, vfs.Settled, 0, h.settled)
	case 14:
		vfs.Advise(h.f, vfs.Doubted, m.below(size), m.below(100))
	case 15:
		vfs.Advise(h.f, vfs.WillNeed, m.below(size), m.below(100))
	case 16:
		m.compare(h)
	default:
		m.read(h, m.below(size+10), int(m.below([]int64{20, 200, size + 20}[m.rnd.IntN(3)])))
	}
	for _, c := range m.caches {
		if s := c.Stats(); s.Bytes > m.limit {
			m.t.Errorf("%+v, limit %d", s, m.limit)
		}
	}
}

func (m *model) open() {
	h := &handle{fs: m.rnd.IntN(len(m.systems)), direct: m.direct.Open("/f", vfs.Append)}
	h.f = m.systems[h.fs].Open("/f", vfs.Append)
	info, err := h.f.Stat()
	check(m.t, err)
	h.id = info.ID
	if h.node = m.nodes[info.ID]; h.node == nil {
		h.node = &node{}
		m.nodes[info.ID] = h.node
	}
	h.opens++
	m.handles = append(m.handles, h)
	m.compare(h)
}

func (m *model) close(k int) {
	h := m.handles[k]
	m.handles = append(m.handles[:k], m.handles[k+1:]...)
	check(m.t, errors.Join(h.f.Close(), h.direct.Close()))
	if h.opens--; h.opens == 0 {
		delete(m.nodes, h.id)
	}
}

// replace gives the name to a new file.
func (m *model) replace() {
	w := m.systems[m.rnd.IntN(len(m.systems))].Create("/f", vfs.ReplaceIfExists, 0o600)
	_, err := w.Write(m.bytes(3000))
	check(m.t, errors.Join(err, w.Commit()))
}

// restore copies another file over this one. Everybody finds out and doubts it.
func (m *model) restore() {
	data, err := m.d.ReadFile("/f")
	check(m.t, err)
	if m.rnd.IntN(2) == 0 {
		data = data[:m.rnd.IntN(len(data)+1)] // an older backup
	} else {
		data = m.bytes(3000)
	}
	check(m.t, m.d.WriteFile("/f", data))
	info, err := m.direct.Stat("/f")
	check(m.t, err)
	for _, h := range m.handles {
		if h.id == info.ID {
			h.settled = 0
			vfs.Advise(h.f, vfs.Doubted, 0, math.MaxInt64)
		}
	}
}

// append fails now and then, after some bytes.
func (m *model) append(h *handle, size int64) {
	p := m.bytes(150)
	want, broken := len(p), errors.New("broken")
	if len(p) > 0 && m.rnd.IntN(5) == 0 {
		want = m.rnd.IntN(len(p))
		remove := m.d.Inject(mem.Fault{Kinds: []mem.Kind{mem.OpAppend}, Action: mem.ShortWrite(want, broken)})
		defer remove()
	}
	n, err := h.f.Append(p, size)
	if n != want || (err == nil) != (n == len(p)) || err != nil && !errors.Is(err, broken) {
		m.t.Errorf("Append = %d, %v, want %d", n, err, want)
	}
}

// rewrite writes settled bytes again, and others anew.
func (m *model) rewrite(h *handle, size int64) {
	off := m.below(size)
	p := make([]byte, m.below(min(size-off, 200)))
	_, err := h.direct.ReadAt(p, off)
	check(m.t, err)
	if off >= h.settled {
		copy(p, m.bytes(len(p)))
	}
	n, err := h.f.Rewrite(p, off)
	if check(m.t, err); n != len(p) {
		m.t.Errorf("Rewrite = %d, want %d", n, len(p))
	}
}

func (m *model) read(h *handle, off int64, n int) {
	got, want := make([]byte, n), make([]byte, n)
	k, err := h.f.ReadAt(got, off)
	wantN, wantErr := h.direct.ReadAt(want, off)
	if k != wantN || !errors.Is(err, wantErr) || !bytes.Equal(got[:k], want[:wantN]) {
		m.t.Errorf("%d bytes at %d: %d, %v, want %d, %v; right: %v", n, off, k, err, wantN, wantErr, bytes.Equal(got[:k], want[:wantN]))
	}
}

func (m *model) compare(h *handle) {
	info, err := h.f.Stat()
	size, err2 := h.f.Size()
	want, err3 := h.direct.Stat()
	check(m.t, errors.Join(err, err2, err3))
	if info != want || size != want.Size {
		m.t.Errorf("%+v, size %d, want %+v", info, size, want)
	}
}

// end reads everything once more and closes all.
func (m *model) end() {
	var hits uint64
	for _, h := range m.handles {
		size, err := h.direct.Size()
		check(m.t, err)
		for range 2 {
			m.read(h, 0, int(size)+1)
			for off := int64(0); off < size; off += 50 {
				m.read(h, off, 50)
			}
		}
	}
	for len(m.handles) > 0 {
		m.close(0)
	}
	for _, c := range m.caches {
		s := c.Stats()
		if hits += s.Hits; s.Bytes != 0 || len(c.inodes) != 0 {
			m.t.Errorf("after the last Close: %+v", s)
		}
	}
	if hits == 0 && m.limit > 16+pageOverhead { // the end reads 50 bytes at a time
		m.t.Error("the cache was of no use")
	}
	_, err := m.systems[0].Open("/f", vfs.ReadOnly).ReadAt(make([]byte, 10), 1<<20)
	is(m.t, err, io.EOF)
}
