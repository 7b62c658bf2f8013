package filestorage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// tortured tells whether the long version of a test is wanted.
func tortured() bool { return os.Getenv("DURUS_TORTURE") != "" }

// simulated are the options of a handle in a simulated process: a clock that
// ticks by itself, and no goroutines.
func simulated(fs vfs.FS) Options {
	now := int64(1_800_000_000_000_000)
	return Options{FS: fs, Logger: quiet, Foreground: true, LockTimeout: time.Second, Now: func() time.Time {
		now += 1000
		return time.UnixMicro(now)
	}}
}

// opened opens a database, and closes it at the end of the test if that was
// not done before.
func opened(t testing.TB, path string, opts Options) *Storage {
	t.Helper()
	s, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) && !errors.Is(err, storage.ErrRewound) {
			t.Error(err)
		}
	})
	return s
}

// edit commits one new state of an object, on the newest state of the database.
func edit(s *Storage, oid storage.OID, payload string) (storage.TID, error) {
	snap, err := s.Begin(context.Background(), true)
	if err != nil {
		return 0, err
	}
	defer snap.Release()
	return s.Commit(context.Background(), &storage.Commit{Base: snap, Records: []storage.Record{{OID: oid, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte(payload)}}})
}

// look reads the state of an object as a View shows it; "" is none.
func look(s *Storage, oid storage.OID) (string, error) {
	snap, err := s.Begin(context.Background(), false)
	if err != nil {
		return "", err
	}
	defer snap.Release()
	return state1(snap, oid)
}

func state1(snap storage.Snapshot, oid storage.OID) (string, error) {
	pos, err := snap.Find(oid)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	r, err := snap.Read(oid, pos)
	return string(r.Payload), err
}

// clean is nil when a database verifies, with no tail.
func clean(s *Storage) error {
	r, err := s.Verify(context.Background(), nil)
	if err == nil && (!r.OK() || r.Tail != 0) {
		err = fmt.Errorf("verify: %v, a tail of %d bytes", r.Problems, r.Tail)
	}
	return err
}

// sample is a database of a given size on a simulated disk, all of it synced,
// and what is in it.
type sample struct {
	data, mark []byte
	records    map[storage.OID]storage.Record
	txs        []storage.Transaction
}

func newSample(t testing.TB, size int64) *sample {
	t.Helper()
	ctx := context.Background()
	d := mem.NewVolatile()
	s := opened(t, worldPath, simulated(d.Process("A")))
	var oids []storage.OID
	for i := 0; s.current().end() < size-2500; i++ {
		if i%10 == 0 {
			if _, err := s.ClassID(ctx, fmt.Sprintf("sample.Class%d", i/10)); err != nil {
				t.Fatal(err)
			}
		}
		snap, err := s.Begin(ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		c := &storage.Commit{Base: snap}
		if i%4 == 0 {
			c.Meta = storage.Meta{User: "somebody", Description: "change", Ext: map[string]string{"n": fmt.Sprint(i)}}
		}
		for k := range i%3 + 1 {
			oid := storage.OID(0)
			if i%2 == 1 && k < len(oids) {
				oid = oids[(i*7+k)%len(oids)]
			} else if oid, err = s.NewOID(ctx); err != nil {
				t.Fatal(err)
			} else {
				oids = append(oids, oid)
			}
			rec := storage.Record{OID: oid, Class: storage.ClassID(i/10 + 1), Codec: storage.CodecMsgpack, Payload: payload(i, 0, 16+i*53%1900)}
			if len(oids) > 4 {
				rec.Strong, rec.Weak = oids[:k+1], oids[1:2]
			}
			c.Records = append(c.Records, rec)
		}
		if _, err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
		snap.Release()
	}
	if err := clean(s); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sm := &sample{}
	var err error
	if sm.data, err = d.ReadFile(worldPath); err != nil {
		t.Fatal(err)
	}
	if sm.mark, err = d.ReadFile(lockName(worldPath)); err != nil {
		t.Fatal(err)
	}
	r := opened(t, worldPath, Options{FS: d.Process("R"), ReadOnly: true, Logger: quiet, Foreground: true})
	if sm.records, sm.txs, err = everything(r, oids); err != nil {
		t.Fatal(err)
	}
	return sm
}

// everything reads all that a View shows of these objects.
func everything(s *Storage, oids []storage.OID) (map[storage.OID]storage.Record, []storage.Transaction, error) {
	snap, err := s.Begin(context.Background(), false)
	if err != nil {
		return nil, nil, err
	}
	defer snap.Release()
	records := make(map[storage.OID]storage.Record)
	for _, oid := range oids {
		pos, err := snap.Find(oid)
		if err != nil {
			return nil, nil, err
		}
		if records[oid], err = snap.Read(oid, pos); err != nil {
			return nil, nil, err
		}
	}
	var txs []storage.Transaction
	for tx, err := range s.Transactions(0, 1<<62) {
		if err != nil {
			return nil, nil, err
		}
		txs = append(txs, tx)
	}
	return records, txs, nil
}

// typed reports whether an error is one that a damaged file may be answered with.
func typed(err error) bool {
	return errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotDurus) || errors.Is(err, storage.ErrTooNew)
}

// same is nil when s answers every question about the sample with the truth or
// with a typed error.
func (sm *sample) same(s *Storage) (silent bool, err error) {
	silent = true
	refused := func(err error) error {
		silent = false
		if typed(err) {
			return nil
		}
		return fmt.Errorf("an error that says nothing of damage: %w", err)
	}
	snap, err := s.Begin(context.Background(), false)
	if err != nil {
		return false, refused(err)
	}
	defer snap.Release()
	for oid, want := range sm.records {
		pos, err := snap.Find(oid)
		var got storage.Record
		if err == nil {
			got, err = snap.Read(oid, pos)
		}
		if err != nil {
			if err := refused(err); err != nil {
				return false, err
			}
			continue
		}
		if !reflect.DeepEqual(got, want) {
			return false, fmt.Errorf("object %s is %v, want %v", oid, got, want)
		}
	}
	i := 0
	for tx, err := range s.Transactions(0, 1<<62) {
		if err != nil {
			if err := refused(err); err != nil {
				return false, err
			}
			return false, nil
		}
		if i == len(sm.txs) || !reflect.DeepEqual(tx, sm.txs[i]) {
			return false, fmt.Errorf("transaction %d of the list is %v", i, tx)
		}
		i++
	}
	if i != len(sm.txs) {
		return false, fmt.Errorf("the list of transactions ends after %d of %d", i, len(sm.txs))
	}
	last, err := s.LastTID()
	if err != nil {
		return silent, refused(err)
	}
	if last != sm.txs[len(sm.txs)-1].TID {
		return false, fmt.Errorf("the last transaction is %s", last)
	}
	return silent, nil
}

// TestEveryBit flips bits of a database, one at a time: each question gets the
// true answer or an error, and the file is found damaged by Verify. A writer
// that comes by cuts nothing off and changes nothing that was there.
// F8 N19 S57
func TestEveryBit(t *testing.T) {
	sm := newSample(t, 64<<10)
	step, writers := 163, 5
	if testing.Short() {
		step = 7 * 163
	}
	if tortured() {
		step = 1
	}
	d := mem.NewVolatile()
	if err := d.WriteFile(worldPath, bytes.Clone(sm.data)); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile(lockName(worldPath), bytes.Clone(sm.mark)); err != nil {
		t.Fatal(err)
	}
	tried, refused := 0, 0
	for bit := 0; bit < 8*len(sm.data); bit += step {
		at, mask := int64(bit/8), byte(1)<<(bit%8)
		if err := d.Patch(worldPath, at, []byte{sm.data[at] ^ mask}); err != nil {
			t.Fatal(err)
		}
		silent, err := sm.readDamaged(d)
		if err != nil {
			t.Fatalf("bit %d of byte %d: %v", bit%8, at, err)
		}
		if tried++; !silent {
			refused++
		}
		if tried%writers == 0 {
			if err := sm.writeDamaged(at, mask, true); err != nil {
				t.Fatalf("bit %d of byte %d, a writer: %v", bit%8, at, err)
			}
			if err := sm.writeDamaged(at, mask, false); err != nil {
				t.Fatalf("bit %d of byte %d, a writer without a mark: %v", bit%8, at, err)
			}
		}
		if err := d.Patch(worldPath, at, sm.data[at:at+1]); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bytes: %d bits flipped, %d noticed by readers, all by Verify", len(sm.data), tried, refused)
	if refused == 0 || refused == tried && tortured() {
		t.Fatal("the flips did not reach what they should")
	}
}

// readDamaged opens and reads a damaged file. silent means that nobody but
// Verify noticed.
func (sm *sample) readDamaged(d *mem.Disk) (silent bool, err error) {
	s, err := Open(worldPath, Options{FS: d.Process("R"), ReadOnly: true, Logger: quiet, Foreground: true, Now: simulated(nil).Now})
	if err != nil {
		if !typed(err) {
			return false, err
		}
		return false, nil
	}
	defer s.Close()
	if silent, err = sm.same(s); err != nil {
		return false, err
	}
	r, err := s.Verify(context.Background(), nil)
	if err == nil && r.OK() {
		return false, errors.New("Verify finds nothing wrong")
	}
	if err != nil && !typed(err) {
		return false, err
	}
	return silent, nil
}

// writeDamaged lets a process open a damaged file, commit and close. Whatever
// comes of it, the bytes that were there stay; without a mark they may be cut
// where nothing says that they were synced, but are kept beside.
func (sm *sample) writeDamaged(at int64, mask byte, mark bool) error {
	d := mem.NewVolatile()
	before := bytes.Clone(sm.data)
	before[at] ^= mask
	if err := d.WriteFile(worldPath, bytes.Clone(before)); err != nil {
		return err
	}
	if mark {
		if err := d.WriteFile(lockName(worldPath), bytes.Clone(sm.mark)); err != nil {
			return err
		}
	}
	s, err := Open(worldPath, simulated(d.Process("W")))
	if err == nil {
		_, err = edit(s, 2, "after the damage")
		if cerr := s.Close(); cerr != nil && !typed(cerr) {
			return cerr
		}
	}
	if err != nil && !typed(err) {
		return err
	}
	after, err := d.ReadFile(worldPath)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(after, before) {
		return nil
	}
	n := 0
	for n < len(after) && after[n] == before[n] {
		n++
	}
	for _, name := range d.Names() {
		kept, err := d.ReadFile(name)
		if err != nil {
			return err
		}
		if !mark && name != worldPath && len(kept) > 0 && bytes.HasSuffix(before, kept) && len(before)-len(kept) <= n {
			return nil
		}
	}
	return fmt.Errorf("the file was changed at byte %d, and was %d bytes long, now %d", n, len(before), len(after))
}

// TestEveryBitOfTheMark flips every bit of the lock file, and fills it with
// other things: the mark is then missing, and everything is as before.
// F8 S59
func TestEveryBitOfTheMark(t *testing.T) {
	sm := newSample(t, 8<<10)
	var marks [][]byte
	for bit := range 8 * len(sm.mark) {
		m := bytes.Clone(sm.mark)
		m[bit/8] ^= 1 << (bit % 8)
		marks = append(marks, m)
	}
	for n := range sm.mark {
		marks = append(marks, sm.mark[:n]) // short
	}
	marks = append(marks, make([]byte, vfs.MarkSize), bytes.Repeat([]byte{0xff}, vfs.MarkSize), append(bytes.Clone(sm.mark), 1, 2, 3), make([]byte, 1<<16))
	for i, m := range marks {
		d := mem.NewVolatile()
		if err := d.WriteFile(worldPath, bytes.Clone(sm.data)); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteFile(lockName(worldPath), bytes.Clone(m)); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			opts := simulated(d.Process("P"))
			opts.ReadOnly = readOnly
			s, err := Open(worldPath, opts)
			if err != nil {
				t.Fatalf("mark %d: %v", i, err)
			}
			silent, err := sm.sameNewest(s, readOnly)
			if err == nil && !silent {
				err = errors.New("an object cannot be read")
			}
			if err == nil && !readOnly {
				_, err = edit(s, 2, "next")
			}
			if err == nil {
				err = clean(s)
			}
			if cerr := s.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				t.Fatalf("mark %d (%x), read-only %v: %v", i, m[:min(len(m), 48)], readOnly, err)
			}
		}
		after, err := d.ReadFile(worldPath)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(after, sm.data) {
			t.Fatalf("mark %d: the file was cut or changed", i)
		}
	}
}

// sameNewest is same; for a handle that may not write and does not know what
// is durable, a View that ends earlier is right too.
func (sm *sample) sameNewest(s *Storage, readOnly bool) (bool, error) {
	last, err := s.LastTID()
	if err != nil {
		return false, err
	}
	if readOnly && last < sm.txs[len(sm.txs)-1].TID {
		return true, nil
	}
	return sm.same(s)
}
