package filestorage_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
)

// SCENARIO 82: at the exact transaction, between two, before the first one, and
// before an object was made.
func TestBeginAt(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 60)
	rnd := rand.New(rand.NewPCG(7, 7))
	tids := []storage.TID{0, w.txs[0].TID - 1}
	for range 40 {
		tids = append(tids, w.txs[rnd.IntN(60)].TID+storage.TID(rnd.IntN(3))-1)
	}
	newest := w.txs[59].TID
	for _, tid := range tids {
		if tid > newest {
			continue
		}
		snap, err := w.st.BeginAt(t.Context(), tid)
		if err != nil {
			t.Fatal(err)
		}
		want := storage.TID(0)
		for _, tx := range w.txs {
			if tx.TID <= tid {
				want = tx.TID
			}
		}
		if snap.TID() != want {
			t.Errorf("at %s: the state of %s, want %s", tid, snap.TID(), want)
		}
		for _, oid := range w.oids {
			var have *state
			for i, s := range w.recs[oid] {
				if s.tid <= tid {
					have = &w.recs[oid][i]
				}
			}
			pos, err := snap.Find(oid)
			if have == nil {
				if !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("object %s at %s: %v, but it was made later", oid, tid, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			by, err := snap.WrittenBy(oid, pos)
			if err != nil || by != have.tid {
				t.Errorf("object %s at %s: written by %s, %v, want %s", oid, tid, by, err, have.tid)
			}
			rec, err := snap.Read(oid, pos)
			if err != nil || rec.Class != have.class {
				t.Errorf("object %s at %s: %+v, %v", oid, tid, rec, err)
			}
		}
		snap.Release()
	}
	for _, tid := range []storage.TID{newest + 1, math.MaxUint64} {
		if snap, err := w.st.BeginAt(t.Context(), tid); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("at %s: %v, %v", tid, snap, err)
		}
	}
}

// SCENARIO 83: the future is refused; any other moment is the state after the
// transaction before it.
func TestTIDAt(t *testing.T) {
	w := newWritten(t)
	w.fill(t, 30)
	w.now.micros.Add(1_000_000)
	if tid, err := w.st.TIDAt(t.Context(), w.now.Now().Add(time.Microsecond)); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("in the future: %s, %v", tid, err)
	}
	for _, tx := range w.txs {
		for _, at := range []int64{-1, 0, 1} {
			when := tx.Time.UnixMicro() + at
			i := slices.IndexFunc(w.txs, func(x storage.Transaction) bool { return x.Time.UnixMicro() > when })
			if i < 0 {
				i = len(w.txs)
			}
			want := storage.TID(0)
			if i > 0 {
				want = w.txs[i-1].TID
			}
			got, err := w.st.TIDAt(t.Context(), time.UnixMicro(when))
			if err != nil || got != want {
				t.Errorf("at %d: %s, %v, want %s", when, got, err, want)
			}
		}
	}
}

// F20, SCENARIO 47: whatever the clock does, ids grow, times do not go back, and
// the state of each moment is the one that the last transaction up to then left.
func TestClocks(t *testing.T) {
	const start = int64(1_800_000_000_000_000)
	for name, tick := range map[string]func(now int64, i int) int64{
		"frozen":      func(now int64, i int) int64 { return now },
		"back":        func(now int64, i int) int64 { return now - 3_600_000_000 },
		"slow":        func(now int64, i int) int64 { return now + int64(i%3/2) },
		"jumping":     func(now int64, i int) int64 { return start + int64(i*7919%13-6)*1_000_000 },
		"far forward": func(now int64, i int) int64 { return now + int64(i%10/9)*100*365*86_400*1_000_000 },
		"before 1970": func(now int64, i int) int64 { return -5 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWritten(t)
			now := start
			for i := range 40 {
				now = tick(now, i)
				w.now.micros.Store(now - 1_000_000) // commit adds this
				w.commit(t, storage.Meta{}, w.oids[i%3])
			}
			var txs []storage.Transaction
			for tx, err := range w.st.Transactions(0, math.MaxUint64) {
				if err != nil {
					t.Fatal(err)
				}
				if n := len(txs); n > 0 && (tx.TID <= txs[n-1].TID || tx.Time.Before(txs[n-1].Time)) {
					t.Errorf("%s at %s after %s at %s", tx.TID, tx.Time, txs[n-1].TID, txs[n-1].Time)
				}
				txs = append(txs, tx)
			}
			if len(txs) != 40 {
				t.Fatalf("%d transactions", len(txs))
			}
			for _, tx := range txs {
				for _, off := range []int64{-1, 0, 1} {
					at := tx.Time.UnixMicro() + off
					want := storage.TID(0)
					for _, tx := range txs {
						if tx.Time.UnixMicro() <= at {
							want = tx.TID
						}
					}
					got, err := w.st.TIDAt(t.Context(), time.UnixMicro(at))
					if future := at > max(txs[39].Time.UnixMicro(), w.now.micros.Load()); future {
						if !errors.Is(err, storage.ErrNotFound) {
							t.Errorf("at %d: %s, %v, but it is the future", at, got, err)
						}
					} else if err != nil || got != want {
						t.Errorf("at %d: %s, %v, want %s", at, got, err, want)
					}
				}
			}
		})
	}
}
