package filestorage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"pgregory.net/rapid"
)

// long is a file with a long past, and what is known of it.
type long struct {
	s      *Storage
	path   string
	micros int64
	class  storage.ClassID
	oids   []storage.OID
	txs    []storage.Transaction
	states map[storage.OID][]storage.TID // which transactions wrote it
}

func newLong(t testing.TB, path string, opts Options) *long {
	t.Helper()
	g := &long{path: path, micros: 1_800_000_000_000_000, states: map[storage.OID][]storage.TID{}}
	opts.Now = func() time.Time { return time.UnixMicro(g.micros) }
	opts.Sync, opts.Foreground, opts.Logger = storage.SyncNever, true, quiet
	g.s = openTest(t, path, opts)
	var err error
	if g.class, err = g.s.ClassID(background, "x.Thing"); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		oid, err := g.s.NewOID(background)
		if err != nil {
			t.Fatal(err)
		}
		g.oids = append(g.oids, oid)
	}
	return g
}

func (g *long) commit(t testing.TB, payload []byte, oids ...storage.OID) {
	t.Helper()
	base, err := g.s.Begin(background, true)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Release()
	var recs []storage.Record
	for _, oid := range oids {
		recs = append(recs, storage.Record{OID: oid, Class: g.class, Codec: storage.CodecMsgpack, Payload: payload})
	}
	tid := put(t, g.s, base, recs...)
	g.micros += 10
	for _, oid := range oids {
		g.states[oid] = append(g.states[oid], tid)
	}
	g.txs = append(g.txs, storage.Transaction{TID: tid})
}

// boundaries are the ends of all frames, found by a walk, and which transaction
// was the last before.
func boundaries(t testing.TB, sn *snapshot) (ends []int64, tids []storage.TID) {
	t.Helper()
	sc := scanner{salt: sn.l.header.Salt, win: &window{file: sn.l.file, size: sn.end}}
	for pos := int64(headerSize); pos < sn.end; {
		f, v, reason, err := sc.next(chain{pos: pos}, false, false)
		if err != nil || v != verdictWhole {
			t.Fatal(pos, reason, err)
		}
		pos = f.end()
		ends, tids = append(ends, pos), append(tids, f.tid)
	}
	return ends, tids
}

// What seek finds by halves is what a walk finds, with frames of any size,
// and states that look like frames: copies of the file's own bytes.
func TestSeek(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, "a.durus")
		g := newLong(t, path, Options{})
		defer func() {
			g.s.Close()
			os.Remove(path)
		}()
		for range rapid.IntRange(1, 100).Draw(rt, "commits") {
			var payload []byte
			switch rapid.IntRange(0, 20).Draw(rt, "what") {
			case 0:
				payload = make([]byte, rapid.IntRange(50_000, 400_000).Draw(rt, "size"))
			case 1, 2, 3:
				payload = make([]byte, rapid.IntRange(100, 50_000).Draw(rt, "size"))
				from := rapid.Int64Range(0, g.s.current().end()-1).Draw(rt, "from")
				n, err := g.s.current().file.ReadAt(payload, from)
				if n == 0 {
					rt.Fatal(err)
				}
				payload = payload[:n]
			default:
				payload = make([]byte, rapid.IntRange(1, 300).Draw(rt, "size"))
			}
			g.commit(t, payload, g.oids[:1+len(payload)%3]...)
		}
		snap, err := g.s.Begin(background, true)
		if err != nil {
			rt.Fatal(err)
		}
		defer snap.Release()
		sn := snap.(*snapshot)
		ends, tids := boundaries(t, sn)
		for range 30 {
			tid := tids[rapid.IntRange(0, len(tids)-1).Draw(rt, "i")] + storage.TID(rapid.IntRange(0, 2).Draw(rt, "off")) - 1
			i, _ := slices.BinarySearch(tids, tid)
			want := int64(headerSize)
			if i > 0 {
				want = ends[i-1]
			}
			got, last, err := sn.l.seek(sn.end, func(h *frameHeader) bool { return h.tid < tid })
			if err != nil || got != want || i > 0 && last.end() != want || i == 0 && last.length != 0 {
				rt.Fatalf("seek %d: %d after %+v, %v, want %d of %v", tid, got, last, err, want, ends)
			}
		}
	})
}

// A single frame that was made to fit its place, by somebody who knows the salt
// and where the next commit will lie, does not pass: its neighbours do not fit.
func TestSeekForgedFrame(t *testing.T) {
	g := newLong(t, filepath.Join(t.TempDir(), "a.durus"), Options{})
	defer g.s.Close()
	for range 3000 {
		g.commit(t, make([]byte, 100), g.oids[0])
	}
	const inside = 96 + 16 + 48 // where a lone payload begins in its frame
	forged := make([]byte, 0, 400_000)
	end := g.s.current().end()
	for len(forged) < 400_000-200 {
		d := newLeaseDraft(1000, 1)
		p := place{pos: end + inside + int64(len(forged)), tid: 1, salt: g.s.Header().Salt, prev: 7}
		d.seal(p, g.s.current().index.get)
		forged = append(append(forged, d.buf...), 0)
	}
	g.commit(t, forged, g.oids[1])
	for range 3000 {
		g.commit(t, make([]byte, 100), g.oids[0])
	}
	l := g.s.current()
	if _, ok, err := l.headerAt(end + inside); !ok || err != nil {
		t.Fatalf("the test forges nothing: %v, %v", ok, err)
	}
	sk := seeker{l: l, end: l.end(), near: window{file: l.file, size: l.end(), least: frameHeaderSize}}
	if _, ok, err := sk.confirm(end + inside); ok || err != nil {
		t.Errorf("it passes: %v", err)
	}
	for i := 0; i < len(g.txs); i += 17 {
		for tx, err := range g.s.Transactions(g.txs[i].TID, g.txs[i].TID) {
			if err != nil || tx.TID != g.txs[i].TID {
				t.Fatalf("%v, %v", tx, err)
			}
		}
	}
}

// A damaged trailer or header bars a way, not both: what is not damaged is found,
// and nothing else is made up.
func TestSeekDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	g := newLong(t, path, Options{})
	for range 4000 {
		g.commit(t, make([]byte, 100), g.oids[0])
	}
	if err := g.s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := openTest(t, path, Options{ReadOnly: true, Logger: quiet})
	defer s.Close()
	snap, err := s.Begin(background, false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	sn := snap.(*snapshot)
	ends, tids := boundaries(t, sn)
	found := 0
	for i := 10; i < len(ends)-10; i += 173 {
		for _, at := range []int64{ends[i] - 3, ends[i] + 20} { // a trailer, a header
			bad := slices.Clone(b)
			bad[at] ^= 8
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			for j := 5; j < len(ends); j += 501 {
				got, _, err := sn.l.seek(sn.end, func(h *frameHeader) bool { return h.tid <= tids[j] })
				k, _ := slices.BinarySearch(tids, tids[j]+1)
				switch {
				case err == nil && got == ends[k-1]:
					found++
				case err == nil || !errors.Is(err, storage.ErrCorrupt):
					t.Errorf("damage at %d: %d is found at %d, %v, want %d", at, tids[j], got, err, ends[k-1])
				}
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if found < 300 {
		t.Errorf("only %d were found", found)
	}
}

// Whichever way is shorter, the state is the same; what the way was is found out
// once.
func TestWayBack(t *testing.T) {
	g := newLong(t, filepath.Join(t.TempDir(), "a.durus"), Options{})
	defer g.s.Close()
	for i := range 900 {
		oids := g.oids[:1] // changes all the time
		switch {
		case i%100 == 50:
			oids = g.oids[:3]
		case i > 600:
			oids = g.oids[:5] // only lately
		case i < 20:
			oids = g.oids[4:7] // long ago
		}
		g.commit(t, []byte{0xc0}, oids...)
	}
	for i := 0; i < len(g.txs); i += 7 {
		tid := g.txs[i].TID
		snap, err := g.s.BeginAt(background, tid)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, oid := range g.oids {
				n, exact := slices.BinarySearch(g.states[oid], tid)
				if exact {
					n++
				}
				pos, err := snap.Find(oid)
				if n == 0 {
					if err != storage.ErrNotFound {
						t.Errorf("object %s at %s: %v, it was made later", oid, tid, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if by, err := snap.WrittenBy(oid, pos); err != nil || by != g.states[oid][n-1] {
					t.Errorf("object %s at %s: written by %s, %v, want %s", oid, tid, by, err, g.states[oid][n-1])
				}
			}
		}
		snap.Release()
	}
}
