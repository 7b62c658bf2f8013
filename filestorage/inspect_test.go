package filestorage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// written is what a test has committed: the model that tools are held against.
type written struct {
	names map[storage.ClassID]string
	path  string
	st    *filestorage.Storage
	now   *clock
	oids  []storage.OID
	txs   []storage.Transaction
	recs  map[storage.OID][]state // oldest first
}

type state struct {
	tid   storage.TID
	class storage.ClassID
	size  int64
}

const recordHead = 48 // docs/format.md

// clock stands still between transactions. Handles look at it on any goroutine.
type clock struct{ micros atomic.Int64 }

func (c *clock) Now() time.Time { return time.UnixMicro(c.micros.Load()) }

func newWritten(t testing.TB) *written {
	t.Helper()
	w := &written{path: filepath.Join(t.TempDir(), "a.durus"), now: new(clock), recs: make(map[storage.OID][]state)}
	w.now.micros.Store(1_800_000_000_000_000)
	w.st = w.open(t, filestorage.Options{})
	for range 6 {
		oid, err := w.st.NewOID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.oids = append(w.oids, oid)
	}
	return w
}

func (w *written) open(t testing.TB, opts filestorage.Options) *filestorage.Storage {
	t.Helper()
	opts.FS, opts.Now = posix.New(), w.now.Now
	st, err := filestorage.Open(w.path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			t.Error(err)
		}
	})
	return st
}

// commit writes new states of some objects, each of the class that its number
// gives, so that some of them change class.
func (w *written) commit(t testing.TB, meta storage.Meta, oids ...storage.OID) {
	t.Helper()
	snap, err := w.st.Begin(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	var recs []storage.Record
	for _, oid := range oids {
		name := fmt.Sprintf("x.Class%d", (int(oid)+len(w.txs))%3)
		class, err := w.st.ClassID(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if w.names == nil {
			w.names = make(map[storage.ClassID]string)
		}
		w.names[class] = name
		recs = append(recs, storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: bytes.Repeat([]byte{7}, 5*len(w.txs)), Weak: []storage.OID{oid}})
	}
	w.now.micros.Add(1_000_000)
	tid, err := w.st.Commit(t.Context(), &storage.Commit{Base: snap, Records: recs, Meta: meta})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range recs {
		w.recs[r.OID] = append(w.recs[r.OID], state{tid, recs[i].Class, int64(recordHead + 8 + len(r.Payload))})
	}
	w.txs = append(w.txs, storage.Transaction{TID: tid, Time: w.now.Now(), Meta: meta, OIDs: oids})
}

func (w *written) fill(t testing.TB, n int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		var oids []storage.OID
		for _, oid := range w.oids {
			if rnd.IntN(3) == 0 || i == 0 && len(oids) == 0 {
				oids = append(oids, oid)
			}
		}
		if len(oids) == 0 {
			oids = w.oids[:1]
		}
		w.commit(t, storage.Meta{User: "u", Description: fmt.Sprint("transaction ", i)}, oids...)
	}
}

// check holds an overview against the first n transactions.
func (w *written) check(t testing.TB, o *filestorage.Overview, n int) {
	t.Helper()
	var live, dead int64
	objects, classes := 0, make(map[storage.ClassID]filestorage.ClassUse)
	var last storage.TID
	if n > 0 {
		last = w.txs[n-1].TID
	}
	for _, states := range w.recs {
		i := len(states)
		for i > 0 && states[i-1].tid > last {
			i--
		}
		for k, s := range states[:i] {
			if k < i-1 {
				dead += s.size
				continue
			}
			objects++
			live += s.size
			c := classes[s.class]
			c.ID, c.Objects, c.Live = s.class, c.Objects+1, c.Live+s.size
			c.Name = w.names[s.class]
			classes[s.class] = c
		}
	}
	if o.Transactions != uint64(n) || o.LastTID != last || o.Objects != uint64(objects) || o.Live != live || o.Dead != dead || o.Unreadable != 0 {
		t.Errorf("overview %+v, want %d transactions up to %s, %d objects, %d live and %d dead bytes", o, n, last, objects, live, dead)
	}
	if n > 0 && !o.LastTime.Equal(w.txs[n-1].Time) {
		t.Errorf("last time %v, want %v", o.LastTime, w.txs[n-1].Time)
	}
	if len(o.Classes) != len(classes) {
		t.Errorf("%d classes, want %d", len(o.Classes), len(classes))
	}
	for i, c := range o.Classes {
		if c != classes[c.ID] {
			t.Errorf("class %+v, want %+v", c, classes[c.ID])
		}
		if i > 0 && o.Classes[i-1].Live < c.Live {
			t.Error("classes are not sorted by their bytes")
		}
	}
}

func TestOverview(t *testing.T) {
	w := newWritten(t)
	reader := w.open(t, filestorage.Options{ReadOnly: true})
	for n := range 25 {
		var done, total int64
		o, err := reader.Overview(t.Context(), func(d, a int64) { done, total = d, a })
		if err != nil {
			t.Fatal(err)
		}
		w.check(t, o, n)
		if o.Damage != nil || o.Tail != 0 || o.Size != o.End || o.Visible != o.End || n > 0 && o.Mark != o.End || o.Header.ID != w.st.Header().ID {
			t.Errorf("overview %+v", o)
		}
		if o.Frames > 0 && (done != o.End || total != o.End) {
			t.Errorf("progress ends with %d of %d", done, total)
		}
		w.fill(t, 1)
	}
	// A file alone, as a copy is, tells less: what no later frame calls
	// durable is not visible. An interrupted commit behind it counts as tail.
	data, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	alone := &written{path: filepath.Join(t.TempDir(), "copy"), st: w.st, now: w.now, recs: w.recs, names: w.names, txs: w.txs}
	if err := os.WriteFile(alone.path, append(data, "torn"...), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := alone.open(t, filestorage.Options{ReadOnly: true}).Overview(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.Tail != 4 || o.Visible >= o.End || o.Size != o.End+4 || o.Mark > o.Visible {
		t.Errorf("of a copy: %+v", o)
	}
	alone.check(t, o, len(w.txs)-1)
}

// offsets writes n transactions and returns where each of them ends.
func offsets(t testing.TB, w *written, n int) (ends []int64) {
	t.Helper()
	for range n {
		w.fill(t, 1)
		ends = append(ends, w.st.Stats().End)
	}
	return ends
}

// Of a damaged file everything before the damage can be looked at.
func TestExamineDamaged(t *testing.T) { // F2
	w := newWritten(t)
	w.fill(t, 2) // with all class and lease frames
	ends := offsets(t, w, 6)
	if err := w.st.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, w.path, ends[3]+20)
	r := w.open(t, filestorage.Options{ReadOnly: true})
	o, err := r.Overview(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var c *storage.CorruptError
	if !errors.As(o.Damage, &c) || c.Offset != ends[3] || o.End != ends[3] || o.Visible != ends[3] || o.Mark != ends[3] {
		t.Errorf("overview %+v, want damage at %d", o, ends[3])
	}
	w.check(t, o, 2+4)
	snap, damage, err := r.Examine(t.Context())
	if err != nil || !errors.Is(damage, storage.ErrCorrupt) {
		t.Fatalf("examine: %v, %v", damage, err)
	}
	defer snap.Release()
	n := 0
	for tx, err := range r.History(snap, 0, math.MaxUint64, true) {
		if err != nil || tx.TID != w.txs[5-n].TID {
			t.Errorf("transaction %s, %v", tx.TID, err)
		}
		n++
	}
	if n != 6 {
		t.Errorf("%d transactions, want 6", n)
	}
	s, err := r.LockState(t.Context())
	if err != nil || !errors.Is(s.Damage, storage.ErrCorrupt) || s.End != ends[3] {
		t.Errorf("lock state %+v, %v", s, err)
	}
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestRevisions(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 10)
	old, err := w.st.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Release()
	w.fill(t, 10)
	now, err := w.st.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer now.Release()
	for _, snap := range []storage.Snapshot{old, now} {
		for _, oid := range w.oids {
			var want []state
			for _, s := range slices.Backward(w.recs[oid]) {
				if s.tid <= snap.TID() {
					want = append(want, s)
				}
			}
			var got []state
			for r, err := range w.st.Revisions(snap, oid) {
				if err != nil {
					if len(want) == 0 && errors.Is(err, storage.ErrNotFound) {
						continue
					}
					t.Fatal(err)
				}
				got = append(got, state{r.TID, r.Class, r.Size})
				i := slices.IndexFunc(w.txs, func(tx storage.Transaction) bool { return tx.TID == r.TID })
				if tx := w.txs[i]; !r.Time.Equal(tx.Time) || r.Description != tx.Description || r.OIDs != nil {
					t.Errorf("revision %+v of transaction %+v", r, tx)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("object %s at %s: revisions %v, want %v", oid, snap.TID(), got, want)
			}
			if len(want) > 0 {
				if id, err := w.st.ClassOf(snap, oid); err != nil || id != want[0].class {
					t.Errorf("object %s at %s: class %d, %v, want %d", oid, snap.TID(), id, err, want[0].class)
				}
			}
		}
	}
	for _, err := range w.st.Revisions(now, 4000) {
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("of no object: %v", err)
		}
	}
	if _, err := w.st.ClassOf(now, 4000); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("class of no object: %v", err)
	}
}

func TestHistory(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 30)
	old, err := w.st.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Release()
	w.fill(t, 5)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		from := w.txs[rnd.IntN(len(w.txs))].TID + storage.TID(rnd.IntN(3)) - 1
		to := w.txs[rnd.IntN(len(w.txs))].TID + storage.TID(rnd.IntN(3)) - 1
		switch rnd.IntN(8) {
		case 0:
			from = 0
		case 1:
			to = math.MaxUint64
		}
		var want []storage.TID
		for _, tx := range w.txs[:30] {
			if from <= tx.TID && tx.TID <= to {
				want = append(want, tx.TID)
			}
		}
		for _, newestFirst := range []bool{false, true} {
			var got []storage.TID
			for tx, err := range w.st.History(old, from, to, newestFirst) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, tx.TID)
				i := slices.IndexFunc(w.txs, func(x storage.Transaction) bool { return x.TID == tx.TID })
				if !slices.Equal(tx.OIDs, w.txs[i].OIDs) || tx.Description != w.txs[i].Description {
					t.Errorf("transaction %+v, want %+v", tx, w.txs[i])
				}
			}
			if newestFirst {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("from %s to %s, newest first %v: %v, want %v", from, to, newestFirst, got, want)
			}
		}
	}
	for range w.st.History(old, 0, math.MaxUint64, true) {
		break // an early end is no harm
	}
}

func TestLockState(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 3)
	r := w.open(t, filestorage.Options{ReadOnly: true})
	st := func() *filestorage.LockState {
		t.Helper()
		s, err := r.LockState(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	end, last := w.st.Stats().End, w.txs[2].TID
	if s := st(); !s.Exists || s.Holder != 0 || s.MarkEnd != end || s.MarkTID != last || !s.MarkFits || s.Durable != end || s.End != end || s.Visible != end || s.Size != end {
		t.Errorf("%+v, want everything to end at %d with transaction %s", s, end, last)
	}
	fsys := posix.New()
	data := fsys.Open(w.path, vfs.Append)
	defer data.Close()
	lock := fsys.Locker(w.path+".lock", data, vfs.Append, 0o600)
	defer lock.Close()
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if want, s := lock.Holder(), st(); s.Holder != want {
		t.Errorf("holder %d, want %d", s.Holder, want)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	// The mark of another file is not one.
	err := lock.UpdateMark(t.Context(), func(p *[vfs.MarkSize]byte, ok bool) bool {
		p[20] ^= 1
		return ok
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := st(); s.MarkEnd != 0 || s.MarkFits || s.Durable != end {
		t.Errorf("with a broken mark: %+v", s)
	}
	if err := os.Remove(w.path + ".lock"); err != nil {
		t.Fatal(err)
	}
	if s := st(); s.Exists || s.End != end {
		t.Errorf("without a lock file: %+v", s)
	}
}

// What the caller knows about payloads is asked for every record, once.
func TestVerifyRecords(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 8)
	r := w.open(t, filestorage.Options{ReadOnly: true})
	seen := make(map[storage.OID][]storage.Position)
	n := 0
	check := func(rec *storage.Record) string {
		n++
		seen[rec.OID] = append(seen[rec.OID], rec.Prev)
		if rec.Class == 0 || rec.Codec != storage.CodecMsgpack || !slices.Equal(rec.Weak, []storage.OID{rec.OID}) || len(rec.Strong) != 0 || bytes.ContainsFunc(rec.Payload, func(c rune) bool { return c != 7 }) {
			t.Errorf("record %+v", rec)
		}
		if n == 3 {
			return "the third one"
		}
		return ""
	}
	rep, err := r.VerifyRecords(t.Context(), check, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Problems) != 1 || rep.Problems[0].Reason != "the third one" || rep.Problems[0].OID == 0 || uint64(n) != rep.Records {
		t.Errorf("%d records were shown of %d, problems %v", n, rep.Records, rep.Problems)
	}
	for oid, prevs := range seen {
		if len(prevs) != len(w.recs[oid]) || prevs[0] != 0 {
			t.Errorf("object %s: %d records were shown, %d written", oid, len(prevs), len(w.recs[oid]))
		}
	}
	// A record that does not pass its checksums is not shown.
	oid := w.oids[0]
	w.commit(t, storage.Meta{}, oid)
	flip(t, w.path, w.st.Stats().End-16-1) // the last byte of its payload
	rep, err = r.VerifyRecords(t.Context(), func(rec *storage.Record) string {
		if rec.Prev != 0 && rec.OID == oid && len(rec.Payload) == 5*8 {
			t.Error("a damaged record is shown")
		}
		return ""
	}, nil)
	if err != nil || len(rep.Problems) != 1 {
		t.Errorf("%v, %v", rep, err)
	}
}

// A file that grows meanwhile is verified up to where it was, with no
// complaint about an index that has not come so far or is ahead.
func TestVerifyWhileOthersCommit(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 20)
	r := w.open(t, filestorage.Options{ReadOnly: true})
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	done := make(chan error)
	go func() {
		rounds := 0
		for ctx.Err() == nil {
			for _, st := range []*filestorage.Storage{r, w.st} {
				rep, err := st.Verify(context.Background(), nil)
				if err == nil && !rep.OK() {
					err = fmt.Errorf("%v", rep.Problems)
				}
				if err != nil {
					done <- err
					return
				}
			}
			if _, err := r.Overview(context.Background(), nil); err != nil {
				done <- err
				return
			}
			rounds++
		}
		if rounds == 0 {
			done <- errors.New("nothing was verified")
			return
		}
		done <- nil
	}()
	for ctx.Err() == nil {
		w.fill(t, 1)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whatever a file holds, tools neither panic nor hang, and answer with an
// error of a damaged file at most. F28
func TestInspectHostileFiles(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 4)
	if err := w.st.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	step := 13 // meets every field somewhere
	if testing.Short() {
		step = 61
	}
	path := filepath.Join(t.TempDir(), "bad")
	for at := 0; at < len(good); at += step {
		for _, bad := range [][]byte{
			append(append(bytes.Clone(good[:at]), good[at]^0xff), good[at+1:]...),
			good[:at],
		} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := lookAtAll(t.Context(), path, w.oids); err != nil && !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrNotDurus) && !errors.Is(err, storage.ErrTooNew) {
				t.Errorf("byte %d, size %d: %v", at, len(bad), err)
			}
		}
	}
}

func lookAtAll(ctx context.Context, path string, oids []storage.OID) error {
	st, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), ReadOnly: true})
	if err != nil {
		return err
	}
	defer st.Close()
	snap, _, err := st.Examine(ctx)
	if err != nil {
		return err
	}
	defer snap.Release()
	var errs []error
	if _, err := st.Overview(ctx, nil); err != nil {
		errs = append(errs, err)
	}
	if _, err := st.LockState(ctx); err != nil {
		errs = append(errs, err)
	}
	for _, newestFirst := range []bool{false, true} {
		for _, err := range st.History(snap, 0, math.MaxUint64, newestFirst) {
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	for _, oid := range oids {
		for _, err := range st.Revisions(snap, oid) {
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				errs = append(errs, err)
			}
		}
	}
	for _, err := range errs { // the first that is not about a damaged file, if there is one
		if !errors.Is(err, storage.ErrCorrupt) {
			return err
		}
	}
	return errors.Join(errs...)
}
