package async

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

// B3: the same operations on a storage and on another one of its kind that is
// made asynchronous have equal results, and leave equal bytes.
func TestModelOnMemory(t *testing.T) {
	for range 20 {
		bubble(t, func(t *testing.T) {
			r := seed(t)
			slow := newLower()
			slow.on(func(string, int64, int) error {
				time.Sleep(rand.N(latency))
				return nil
			})
			opts := Options{Workers: 1 + r.IntN(4), Buffer: 1 << r.IntN(12), ReadBytes: 1 << r.IntN(20), ReadAhead: int64(r.IntN(5000)) - 500}
			compare(t, r, mem.NewVolatile().Process("p"), "/", vfs.Blocking(New(slow, opts)), "/", 2000)
		})
	}
}

func TestModelOnFiles(t *testing.T) {
	r := seed(t)
	compare(t, r, posix.New(), t.TempDir()+"/", vfs.Blocking(New(posix.New(), Options{})), t.TempDir()+"/", 3000)
}

// side is one of two storages that are compared, and what is open there.
type side struct {
	fs    vfs.FS
	dir   string
	files [4]vfs.File
	locks [4]vfs.Locker
}

// compare carries out random operations on both.
func compare(t *testing.T, r *rand.Rand, plain vfs.FS, plainDir string, async vfs.FS, asyncDir string, steps int) {
	t.Helper()
	sides := [2]*side{{fs: plain, dir: plainDir}, {fs: async, dir: asyncDir}}
	for step := range steps {
		op := randomOp(r)
		var answers [2]string
		for i, s := range sides {
			answers[i] = op.on(s)
		}
		if answers[0] != answers[1] {
			t.Fatalf("step %d, %+v: %.200s\nwant %.200s", step, op, answers[1], answers[0])
		}
	}
	for i := range sides[0].files {
		var all [2][]byte
		for j, s := range sides {
			s.close(i)
			f := s.fs.Open(s.name(i), vfs.ReadOnly)
			size, err := f.Size()
			if err == nil {
				all[j] = make([]byte, size)
				_, err = f.ReadAt(all[j], 0)
			}
			if err != nil && err != io.EOF && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			check(t, f.Close())
		}
		if !bytes.Equal(all[0], all[1]) {
			t.Errorf("file %d holds other bytes", i)
		}
	}
}

func (s *side) name(i int) string { return fmt.Sprintf("%sfile%d", s.dir, i) }

func (s *side) close(i int) {
	if s.locks[i] != nil {
		_ = s.locks[i].Close()
		s.locks[i] = nil
	}
	if s.files[i] != nil {
		_ = s.files[i].Close()
		s.files[i] = nil
	}
}

// step is a random operation.
type step struct {
	kind, file int
	off, n     int64
	fill       byte
	flag       bool
}

func randomOp(r *rand.Rand) step {
	return step{kind: r.IntN(16), file: r.IntN(4), off: r.Int64N(3000), n: r.Int64N(1000), fill: byte(r.Uint32()), flag: r.IntN(4) > 0}
}

// on carries the operation out and says all that came of it.
func (o step) on(s *side) string {
	f := s.files[o.file]
	if f == nil && o.kind > 3 {
		mode := vfs.ReadOnly
		if o.flag {
			mode = vfs.Append
		}
		f = s.fs.Open(s.name(o.file), mode)
		s.files[o.file] = f
	}
	p := bytes.Repeat([]byte{o.fill}, int(o.n))
	switch o.kind {
	case 0:
		s.close(o.file)
		return ""
	case 1:
		mode := vfs.FailIfExists
		if o.flag {
			mode = vfs.ReplaceIfExists
		}
		w := s.fs.Create(s.name(o.file), mode, 0o600)
		for _, piece := range [][]byte{p[:o.n/2], p[o.n/2:]} {
			if n, err := w.Write(piece); n != len(piece) || err != nil {
				return fmt.Sprint("write ", n, err)
			}
		}
		if o.fill%4 == 0 {
			return "abort " + kind(w.Abort())
		}
		return "commit " + kind(w.Commit())
	case 2:
		if o.off%4 > 0 {
			return ""
		}
		return "remove " + kind(s.fs.Remove(s.name(o.file)))
	case 3:
		info, err := s.fs.Stat(s.name(o.file))
		var list []string
		for name, err := range s.fs.List(s.dir) {
			list = append(list, name[len(s.dir):], kind(err))
		}
		return fmt.Sprint("stat ", info.Size, info.Perm, kind(err), list)
	case 4:
		n, err := f.Size()
		return fmt.Sprint("size ", n, kind(err))
	case 5:
		info, err := f.Stat()
		return fmt.Sprint("stat ", info.Size, info.Links, info.Perm, kind(err))
	case 6, 7:
		end, _ := f.Size()
		n, err := f.Append(p, end)
		return fmt.Sprint("append ", n, kind(err))
	case 8:
		size, _ := f.Size()
		off := min(o.off, size)
		n, err := f.Rewrite(p[:min(o.n, size-off)], off)
		return fmt.Sprint("rewrite ", n, kind(err))
	case 9:
		return "truncate " + kind(f.Truncate(o.off))
	case 10:
		return "sync " + kind(f.Sync())
	case 11:
		if s.locks[o.file] == nil {
			s.locks[o.file] = s.fs.Locker(s.name(o.file)+".lock", f, vfs.Append, 0o600)
		}
		ok, err := s.locks[o.file].TryLock()
		return fmt.Sprint("lock ", ok, kind(err), kind(s.locks[o.file].Unlock()))
	default:
		n, err := f.ReadAt(p, o.off)
		return fmt.Sprint("read ", n, kind(err), string(p[:n]))
	}
}

// kind is what two storages agree on of an error.
func kind(err error) string {
	if err == nil {
		return "ok"
	}
	known := []error{io.EOF, fs.ErrNotExist, fs.ErrExist, vfs.ErrMode, vfs.ErrClosed, vfs.ErrNotSupported}
	i := slices.IndexFunc(known, func(k error) bool { return errors.Is(err, k) })
	if i < 0 {
		return "other"
	}
	return known[i].Error()
}
