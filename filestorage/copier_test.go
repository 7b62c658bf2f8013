package filestorage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// copyBed is a database on a simulated disk, whose clock the test moves.
type copyBed struct {
	testing.TB
	disk *mem.Disk
	now  time.Time
	oids []storage.OID
	cls  storage.ClassID
}

func newCopyBed(t testing.TB) *copyBed {
	return &copyBed{TB: t, disk: mem.NewVolatile(), now: time.UnixMicro(1_700_000_000_000_000)}
}

func (b *copyBed) open(path string, o Options) *Storage {
	b.Helper()
	o.FS, o.Foreground, o.Logger = b.disk.Process(path), true, quiet
	o.Now = func() time.Time { b.now = b.now.Add(time.Second); return b.now }
	s, err := Open(path, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			b.Error(err)
		}
	})
	return s
}

// write commits a transaction that makes an object and changes another one.
func (b *copyBed) write(s *Storage, payload int) storage.TID {
	b.Helper()
	snap, err := s.Begin(background, true)
	demand(b, err)
	defer snap.Release()
	oid, err := s.NewOID(background)
	demand(b, err)
	if b.cls == 0 {
		b.cls, err = s.ClassID(background, "copy.Thing")
		demand(b, err)
	}
	state := bytes.Repeat([]byte{byte(len(b.oids))}, payload)
	recs := []storage.Record{{OID: oid, Class: b.cls, Codec: storage.CodecMsgpack, Payload: state}}
	if n := len(b.oids); n > 0 {
		recs = append(recs, storage.Record{OID: b.oids[n/2], Class: b.cls, Codec: storage.CodecMsgpack, Payload: state, Strong: []storage.OID{oid}})
	}
	slices.SortFunc(recs, func(x, y storage.Record) int { return int(x.OID) - int(y.OID) })
	b.oids = append(b.oids, oid)
	tid, err := s.Commit(background, &storage.Commit{Base: snap, Records: recs, Meta: storage.Meta{User: "u", Description: fmt.Sprint(len(b.oids)), Ext: map[string]string{"k": "v"}}})
	demand(b, err)
	return tid
}

// pack keeps the newest states and no history.
func (b *copyBed) pack(s *Storage) {
	b.Helper()
	p, err := s.NewPacking(background, PackingOptions{})
	demand(b, err)
	for _, oid := range b.oids {
		_, _, err := p.Keep(Next{OID: oid}, nil)
		demand(b, err)
	}
	n := 0
	c := &Caught{Transactions: &n, Records: func(storage.ClassID, int64, bool) {}}
	link := func(from, to storage.OID) error { return nil }
	demand(b, p.CatchUp(background, c, link))
	_, err = p.Swap(background, c, link)
	demand(b, err)
	demand(b, p.Close())
}

// put makes a file of a copy and opens it read-only, without a lock file.
func (b *copyBed) put(name string, data []byte) *Storage {
	b.Helper()
	demand(b, b.disk.WriteFile(name, data))
	return b.open(name, Options{ReadOnly: true})
}

// SCENARIO 85: transactions, metadata, states and chains of the copy are those
// of the database, and a handle that may not write sees all of it although
// there is no lock file.
func TestBackup(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	for i := range 40 {
		b.write(s, i*400)
	}
	for _, handle := range []*Storage{s, b.open("/d/db", Options{ReadOnly: true})} {
		var out bytes.Buffer
		told := int64(0)
		tid, err := handle.Backup(background, &out, func(done, total int64) { told = done })
		demand(t, err)
		last, err := s.LastTID()
		demand(t, err)
		if tid != last || told == 0 || told > int64(out.Len()) {
			t.Errorf("it returned %s, want %s, and told of %d bytes", tid, last, told)
		}
		data, err := b.disk.ReadFile("/d/db")
		demand(t, err)
		if !bytes.HasPrefix(out.Bytes(), data) {
			t.Error("the bytes are not those of the file")
		}
		c := b.put(fmt.Sprintf("/d/copy%d", len(b.disk.Names())), out.Bytes())
		sameContent(t, s, c)
		demand(t, clean(c))
		// A copy of a copy is the same.
		var again bytes.Buffer
		if _, err := c.Backup(background, &again, nil); err != nil || !bytes.Equal(again.Bytes(), out.Bytes()) {
			t.Errorf("a copy of the copy has %d bytes, want %d: %v", again.Len(), out.Len(), err)
		}
	}
}

// sameContent compares two databases: transactions with all that they say, and
// every state that any object has had.
func sameContent(t testing.TB, a, b *Storage) {
	t.Helper()
	x, y := contentOf(t, a), contentOf(t, b)
	if len(x) == 0 || !slices.Equal(x, y) {
		t.Errorf("%d lines of content, and %d in the other", len(x), len(y))
	}
}

func contentOf(t testing.TB, s *Storage) (lines []string) {
	t.Helper()
	snap, err := s.Begin(background, false)
	demand(t, err)
	defer snap.Release()
	lines = append(lines, snap.TID().String())
	for tx, err := range s.History(snap, 0, 1<<62, false) {
		demand(t, err)
		lines = append(lines, fmt.Sprintf("%v %v %+v %v", tx.TID, tx.Time.UnixMicro(), tx.Meta, tx.OIDs))
	}
	for place, err := range snap.Objects(1) {
		demand(t, err)
		for r, err := range s.Revisions(snap, place.OID) {
			demand(t, err)
			rec, err := snap.Read(place.OID, r.Position)
			demand(t, err)
			class, _ := snap.ClassName(rec.Class)
			lines = append(lines, fmt.Sprintf("%v %v %v %s %x %v %v", place.OID, r.TID, r.Time.UnixMicro(), class, rec.Payload, rec.Strong, rec.Weak))
		}
	}
	return lines
}

// A copy of a copy goes on in the database's own way: new commits, object ids
// that were never given out, class numbers.
func TestBackupGoesOn(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	b.write(s, 10)
	var out bytes.Buffer
	_, err := s.Backup(background, &out, nil)
	demand(t, err)
	given, err := s.NewOID(background)
	demand(t, err)
	demand(t, b.disk.WriteFile("/d/copy", out.Bytes()))
	c := b.open("/d/copy", Options{})
	oid, err := c.NewOID(background)
	demand(t, err)
	if oid <= given {
		t.Errorf("object id %s was leased before the copy, the copy gave %s", given, oid)
	}
	if id, err := c.ClassID(background, "copy.Other"); err != nil || id != b.cls+1 {
		t.Errorf("class number %d, %v", id, err)
	}
	b.write(c, 5)
	demand(t, clean(c))
}

// SCENARIO 86: whatever bit of the file is wrong, a copy is refused with the
// place, or is whole; damage is never copied.
func TestBackupOfDamage(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	var tids []storage.TID
	for range 4 {
		tids = append(tids, b.write(s, 60))
	}
	var good bytes.Buffer
	_, err := s.Backup(background, &good, nil)
	demand(t, err)
	demand(t, s.Close())
	step := 1
	if testing.Short() {
		step = 17
	}
	seal := good.Len() - frameHeaderSize - trailerSize // nothing stands behind the last frame that could vouch for it
	refused := 0
	for i := 0; i < good.Len(); i += step {
		data := bytes.Clone(good.Bytes())
		data[i] ^= 1 << (i % 8)
		name := fmt.Sprintf("/d/bad%d", i)
		demand(t, b.disk.WriteFile(name, data))
		c, err := Open(name, Options{FS: b.disk.Process(name), ReadOnly: true, Foreground: true, Logger: quiet})
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		var out bytes.Buffer
		_, err = c.Backup(background, &out, nil)
		var damage *storage.CorruptError
		switch {
		case err == nil && i >= seal:
			if tid, err := b.put(name+"copy", out.Bytes()).LastTID(); err != nil || tid < tids[2] {
				t.Errorf("byte %d: the copy ends at %s, %v", i, tid, err)
			}
		case err == nil && !bytes.Equal(out.Bytes(), good.Bytes()):
			t.Errorf("byte %d: the copy is another one", i)
		case err != nil && (!errors.As(err, &damage) || damage.Path != name || damage.Offset > int64(i)):
			t.Errorf("byte %d: %v", i, err)
		case err != nil:
			refused++
		}
		demand(t, c.Close())
		demand(t, b.disk.Remove(name))
	}
	if all := (seal - headerSize) / step; refused < all {
		t.Errorf("%d of %d were refused", refused, all)
	}
}

// SCENARIO 86: a copy that is begun before a pack goes on in the file that it
// began with; one that is begun before a restore in place is not mixed.
func TestBackupAcrossPackAndRestore(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	for range 30 {
		b.write(s, 60_000)
	}
	old, err := b.disk.ReadFile("/d/db")
	demand(t, err)
	for range 30 {
		b.write(s, 60_000)
	}
	last, err := s.LastTID()
	demand(t, err)

	c, err := s.Copier(background, false)
	demand(t, err)
	defer c.Close()
	var out bytes.Buffer
	done, err := c.Copy(background, &out, Limit{Bytes: 400_000}, nil)
	demand(t, err)
	if done {
		t.Fatal("the whole file is one piece")
	}
	b.pack(s)
	b.write(s, 10)
	for !done {
		done, err = c.Copy(background, &out, Limit{Bytes: 400_000}, nil)
		demand(t, err)
	}
	demand(t, c.Seal(&out))
	copied := b.put("/d/copy", out.Bytes())
	if tid, err := copied.LastTID(); err != nil || tid != last || copied.Header().Generation != 0 {
		t.Errorf("the copy ends at %s, %v; want %s", tid, err, last)
	}
	demand(t, clean(copied))

	// In place: the same beginning, then another history.
	demand(t, b.disk.WriteFile("/d/other", out.Bytes()))
	o := b.open("/d/other", Options{})
	c, err = o.Copier(background, false)
	demand(t, err)
	defer c.Close()
	done, err = c.Copy(background, &out, Limit{Bytes: int64(len(old)) / 2}, nil)
	if done || err != nil {
		t.Fatal(done, err)
	}
	demand(t, b.disk.WriteFile("/d/other", old))
	x := b.open("/d/other", Options{})
	for range 40 {
		b.write(x, 59_999)
	}
	if _, err := c.Copy(background, &out, Limit{}, nil); !errors.Is(err, storage.ErrRewound) {
		t.Errorf("a copy across a restore says %v", err)
	}
}

// Copy ends at a transaction or a time, with what that transaction had seen.
func TestCopyLimits(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	var tids []storage.TID
	for range 10 {
		tids = append(tids, b.write(s, 50))
	}
	all := contentOf(t, s)
	var txs []storage.Transaction
	for tx, err := range s.Transactions(0, 1<<62) {
		demand(t, err)
		txs = append(txs, tx)
	}
	take := func(l Limit) (*Storage, error) {
		c, err := s.Copier(background, false)
		demand(t, err)
		defer c.Close()
		var out bytes.Buffer
		if _, err := c.Copy(background, &out, l, nil); err != nil {
			return nil, err
		}
		demand(t, c.Seal(&out))
		return b.put(fmt.Sprintf("/d/copy%d", len(b.disk.Names())), out.Bytes()), nil
	}
	for i, tid := range tids {
		for _, l := range []Limit{{TID: tid}, {TID: tid + 1}, {Time: txs[i].Time}, {Time: txs[i].Time.Add(time.Microsecond)}} {
			c, err := take(l)
			demand(t, err)
			if got := contentOf(t, c); got[0] != tid.String() || !slices.Equal(got[1:i+2], all[1:i+2]) {
				t.Errorf("%+v: it ends at %s", l, got[0])
			}
			demand(t, clean(c))
		}
	}
	for _, l := range []Limit{{TID: tids[0] - 1}, {Time: txs[0].Time.Add(-time.Second)}} {
		if _, err := take(l); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	b.pack(s)
	last := len(tids) - 1
	for _, l := range []Limit{{TID: tids[last-1]}, {Time: txs[last-1].Time}} {
		if _, err := take(l); !errors.Is(err, storage.ErrPacked) {
			t.Errorf("after a pack, %+v: %v", l, err)
		}
	}
	b.write(s, 10)
	for _, l := range []Limit{{TID: tids[last]}, {Time: txs[last].Time}} {
		c, err := take(l)
		demand(t, err)
		if tid, err := c.LastTID(); err != nil || tid != tids[last] {
			t.Errorf("after a pack, %+v: %s, %v", l, tid, err)
		}
		demand(t, clean(c))
	}
}

// A copy that is continued is the same as one that is not; a point of another
// history, or of another file, is refused.
func TestCopyContinues(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	var parts bytes.Buffer
	p := Point{}
	for i := range 12 {
		for range i % 3 {
			b.write(s, 100*i)
		}
		c, err := s.Copier(background, false)
		demand(t, err)
		if i > 0 {
			if ok, err := c.Continue(p); !ok || err != nil {
				t.Fatalf("step %d: %v, %v", i, ok, err)
			}
		}
		_, err = c.Copy(background, &parts, Limit{}, nil)
		demand(t, err)
		p = c.Point()
		for _, wrong := range []Point{
			{Start: p.Start, End: p.End, Sum: p.Sum + 1, TID: p.TID},
			{Start: p.Start + 1, End: p.End, Sum: p.Sum, TID: p.TID},
			{Start: p.Start, End: p.End + 1, Sum: p.Sum, TID: p.TID},
			{Start: 1 << 40, End: 1<<40 + 200, Sum: p.Sum, TID: p.TID},
		} {
			if p.Start == 0 {
				wrong.Sum++
			}
			if ok, err := c.Continue(wrong); ok || err != nil {
				t.Errorf("step %d: %+v: %v, %v", i, wrong, ok, err)
			}
		}
		c.Close()
	}
	var whole bytes.Buffer
	_, err := s.Backup(background, &whole, nil)
	demand(t, err)
	if !bytes.HasPrefix(whole.Bytes(), parts.Bytes()) || whole.Len()-parts.Len() > 200 {
		t.Errorf("the parts have %d bytes, the whole %d", parts.Len(), whole.Len())
	}
}

// A copy ends with its context, and with the first error of who takes it.
func TestBackupEnds(t *testing.T) {
	b := newCopyBed(t)
	s := b.open("/d/db", Options{})
	for range 20 {
		b.write(s, 50_000)
	}
	ctx, cancel := context.WithCancel(background)
	_, err := s.Backup(ctx, &bytes.Buffer{}, func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("full")
	if _, err := s.Backup(background, &brokenWriter{left: 300_000, err: full}, nil); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	demand(t, s.Close())
	if _, err := s.Backup(background, &bytes.Buffer{}, nil); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// brokenWriter takes so many bytes.
type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}
