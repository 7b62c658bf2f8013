package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

const (
	dbPath = "/db/bank"
	dir    = "/vault"
	out    = "/out/bank"
)

// bed is a database on a simulated disk, another disk for backups, and what
// both should hold.
type bed struct {
	testing.TB
	disk, vault *mem.Disk
	procs       int
	s           *filestorage.Storage
	class       storage.ClassID
	now         time.Time
	chunk       int64

	past    []moment    // of the database, oldest first
	horizon storage.TID // of the database
}

// moment is the state behind a transaction.
type moment struct {
	tid   storage.TID
	time  time.Time
	state map[storage.OID]uint64
}

func newBed(t testing.TB) *bed {
	b := &bed{TB: t, disk: mem.NewVolatile(), vault: mem.NewDisk(), now: time.UnixMicro(1_700_000_000_000_000), chunk: 1500}
	b.s = b.open(b.disk, dbPath, false)
	return b
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// process is a new process on the disk of backups.
func (b *bed) process() *mem.Process {
	b.procs++
	return b.vault.Process(fmt.Sprint("p", b.procs))
}

func (b *bed) clock() time.Time { b.now = b.now.Add(time.Second); return b.now }

func (b *bed) open(d *mem.Disk, path string, readOnly bool) *filestorage.Storage {
	b.Helper()
	b.procs++
	s, err := filestorage.Open(path, filestorage.Options{
		FS: d.Process(fmt.Sprint("s", b.procs)), Logger: slog.New(slog.DiscardHandler), Foreground: true,
		ReadOnly: readOnly, MustExist: readOnly, Now: b.clock,
	})
	b.must(err)
	b.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			b.Errorf("close %s: %v", path, err)
		}
	})
	return s
}

// commit changes the root and makes an object, or changes one.
func (b *bed) commit() storage.TID {
	b.Helper()
	snap, err := b.s.Begin(ctx, true)
	if errors.Is(err, storage.ErrRewound) { // told once
		snap, err = b.s.Begin(ctx, true)
	}
	b.must(err)
	defer snap.Release()
	b.class, err = b.s.ClassID(ctx, "node")
	b.must(err)
	state := map[storage.OID]uint64{}
	if n := len(b.past); n > 0 {
		state = maps.Clone(b.past[n-1].state)
	}
	n := uint64(b.now.UnixMicro())
	oids := slices.Sorted(maps.Keys(state))
	c := &storage.Commit{Base: snap, Meta: storage.Meta{User: "bed", Description: fmt.Sprint(n)}}
	if len(oids) < 8 {
		oid, err := b.s.NewOID(ctx)
		b.must(err)
		state[1], state[oid] = n, n
		all := slices.Sorted(maps.Keys(state))
		c.Records = []storage.Record{b.record(1, n, all[1:]), b.record(oid, n, nil)}
	} else {
		oid := oids[1+int(n)%(len(oids)-1)]
		state[oid] = n
		c.Records = []storage.Record{b.record(oid, n, nil)}
	}
	tid, err := b.s.Commit(ctx, c)
	b.must(err)
	b.past = append(b.past, moment{tid, b.timeOf(tid), state})
	return tid
}

func (b *bed) timeOf(tid storage.TID) time.Time {
	for tx, err := range b.s.Transactions(tid, tid) {
		b.must(err)
		return tx.Time
	}
	b.Fatalf("no transaction %s", tid)
	return time.Time{}
}

func (b *bed) record(oid storage.OID, n uint64, refs []storage.OID) storage.Record {
	p := append(binary.LittleEndian.AppendUint64(nil, n), bytes.Repeat([]byte{byte(n)}, int(n%300))...)
	return storage.Record{OID: oid, Class: b.class, Codec: storage.CodecMsgpack, Payload: p, Strong: refs}
}

func (b *bed) pack(from storage.TID) {
	b.Helper()
	r, err := pack.Pack(ctx, b.s, pack.Options{KeepFrom: from})
	if errors.Is(err, storage.ErrRewound) {
		r, err = pack.Pack(ctx, b.s, pack.Options{KeepFrom: from})
	}
	b.must(err)
	if !r.Nothing {
		b.horizon = r.Horizon
	}
}

func (b *bed) options() Options { return Options{chunk: b.chunk, now: b.clock} }

func (b *bed) full() Report {
	b.Helper()
	r, err := Full(ctx, b.s, b.process(), dir, b.options())
	b.must(err)
	return r
}

func (b *bed) incremental() Report {
	b.Helper()
	r, err := Incremental(ctx, b.s, b.process(), dir, b.options())
	b.must(err)
	return r
}

// verify wants a directory without problems.
func (b *bed) verify() *Verdict {
	b.Helper()
	v, err := Verify(ctx, b.process(), dir, nil)
	b.must(err)
	for _, p := range v.Problems {
		b.Errorf("verify: %v", p)
	}
	return v
}

// restore restores to a file of its own on the disk of backups.
func (b *bed) restore(o RestoreOptions) (Restored, *filestorage.Storage, error) {
	b.Helper()
	b.procs++
	to := fmt.Sprint(out, b.procs)
	r, err := Restore(ctx, b.process(), dir, to, o)
	if err != nil {
		for _, name := range b.vault.Names() {
			if name == to {
				b.Errorf("%s was left behind by %v", name, err)
			}
		}
		return r, nil, err
	}
	return r, b.open(b.vault, to, true), nil
}

// holds wants a database to be exactly what it was at a moment.
func (b *bed) holds(s *filestorage.Storage, m moment) {
	b.Helper()
	v, err := s.Verify(ctx, nil)
	b.must(err)
	if !v.OK() {
		b.Fatalf("verify: %v", v.Problems)
	}
	snap, err := s.Begin(ctx, false)
	b.must(err)
	defer snap.Release()
	if snap.TID() != m.tid {
		b.Fatalf("it ends at %s, want %s", snap.TID(), m.tid)
	}
	got := map[storage.OID]uint64{}
	for place, err := range snap.Objects(1) {
		b.must(err)
		rec, err := snap.Read(place.OID, place.Position)
		b.must(err)
		got[place.OID] = binary.LittleEndian.Uint64(rec.Payload)
	}
	if !maps.Equal(got, m.state) {
		b.Fatalf("at %s it holds %v, want %v", m.tid, got, m.state)
	}
}

// names are those of the files in the directory.
func (b *bed) names() (names []string) {
	for name, err := range b.process().List(dir + "/") {
		b.must(err)
		names = append(names, name[len(dir)+1:])
	}
	return names
}

var ctx = context.Background()
