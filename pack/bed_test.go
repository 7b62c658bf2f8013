package pack_test

import (
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

var ctx = context.Background()

// bed is a database on a simulated disk with some processes, and a map of what
// it holds.
type bed struct {
	testing.TB
	disk  *mem.Disk
	class storage.ClassID
	now   time.Time
	n     int
	state map[storage.OID]node
}

// node is an object: a number, and what it refers to.
type node struct {
	n            int
	strong, weak []storage.OID
}

const path = "/db"

func newBed(t testing.TB) (*bed, *filestorage.Storage) {
	b := &bed{TB: t, disk: mem.NewDisk(), now: time.UnixMicro(1_700_000_000_000_000), state: map[storage.OID]node{}}
	s := b.open("a")
	b.must(b.put(s, 1, node{}))
	return b, s
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// open opens the database in a process. At the end it is verified and closed.
func (b *bed) open(process string) *filestorage.Storage {
	b.Helper()
	s, err := filestorage.Open(path, filestorage.Options{
		FS: b.disk.Process(process), Logger: slog.New(slog.DiscardHandler), Foreground: true,
		Now: func() time.Time { b.now = b.now.Add(time.Millisecond); return b.now },
	})
	b.must(err)
	b.Cleanup(func() {
		if r, err := s.Verify(ctx, nil); err != nil && !errors.Is(err, storage.ErrClosed) || err == nil && !r.OK() {
			b.Errorf("verify in %s: %v, %v", process, r, err)
		}
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
			b.Errorf("close in %s: %v", process, err)
		}
	})
	return s
}

func (b *bed) record(oid storage.OID, n node) storage.Record {
	p := binary.LittleEndian.AppendUint64(nil, uint64(n.n))
	return storage.Record{OID: oid, Class: b.class, Codec: storage.CodecMsgpack, Payload: p, Strong: n.strong, Weak: n.weak}
}

// put commits the state of one object. Its number is set.
func (b *bed) put(s *filestorage.Storage, oid storage.OID, n node) error {
	snap, err := s.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer snap.Release()
	_, err = b.putOn(s, snap, map[storage.OID]node{oid: n})
	return err
}

// putOn commits objects as of a snapshot.
func (b *bed) putOn(s *filestorage.Storage, snap storage.Snapshot, nodes map[storage.OID]node) (storage.TID, error) {
	if b.class == 0 {
		id, err := s.ClassID(ctx, "node")
		if err != nil {
			return 0, err
		}
		b.class = id
	}
	b.n++
	c := &storage.Commit{Base: snap, Meta: storage.Meta{User: "bed", Description: fmt.Sprint(b.n)}}
	for _, oid := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[oid]
		n.n = b.n
		nodes[oid] = n
		c.Records = append(c.Records, b.record(oid, n))
	}
	tid, err := s.Commit(ctx, c)
	if err == nil {
		maps.Copy(b.state, nodes)
	}
	return tid, err
}

// add makes an object that nothing refers to.
func (b *bed) add(s *filestorage.Storage, n node) storage.OID {
	b.Helper()
	oid, err := s.NewOID(ctx)
	b.must(err)
	b.must(b.put(s, oid, n))
	return oid
}

// link adds references to an object.
func (b *bed) link(s *filestorage.Storage, from storage.OID, to ...storage.OID) {
	b.Helper()
	n := b.state[from]
	n.strong = append(slices.Clone(n.strong), to...)
	b.must(b.put(s, from, n))
}

// unlink removes a reference.
func (b *bed) unlink(s *filestorage.Storage, from, to storage.OID) {
	b.Helper()
	n := b.state[from]
	n.strong = slices.DeleteFunc(slices.Clone(n.strong), func(o storage.OID) bool { return o == to })
	b.must(b.put(s, from, n))
}

func (b *bed) pack(s *filestorage.Storage, o pack.Options) pack.Report {
	b.Helper()
	r, err := pack.Pack(ctx, s, o)
	b.must(err)
	return r
}

// reachable is what can be reached from the root.
func (b *bed) reachable() map[storage.OID]node {
	all := map[storage.OID]node{}
	todo := []storage.OID{1}
	for len(todo) > 0 {
		oid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if n, ok := b.state[oid]; ok {
			if _, ok := all[oid]; !ok {
				all[oid] = n
				todo = append(todo, n.strong...)
			}
		}
	}
	return all
}

// holds checks that a snapshot holds objects as they should be.
func (b *bed) holds(snap storage.Snapshot, want map[storage.OID]node) {
	b.Helper()
	for oid, n := range want {
		got, err := load(snap, oid)
		if err != nil || got.n != n.n || !slices.Equal(got.strong, n.strong) || !slices.Equal(got.weak, n.weak) {
			b.Fatalf("object %s is %v, %v; want %v", oid, got, err, n)
		}
	}
}

func load(snap storage.Snapshot, oid storage.OID) (node, error) {
	pos, err := snap.Find(oid)
	if err != nil {
		return node{}, err
	}
	r, err := snap.Read(oid, pos)
	if err != nil {
		return node{}, err
	}
	return node{int(binary.LittleEndian.Uint64(r.Payload)), r.Strong, r.Weak}, nil
}

// check checks what a handle shows: all that can be reached, and, right after a
// pack, nothing else.
func (b *bed) check(s *filestorage.Storage, exactly bool) {
	b.Helper()
	snap, err := s.Begin(ctx, false)
	b.must(err)
	defer snap.Release()
	want := b.reachable()
	b.holds(snap, want)
	if !exactly {
		return
	}
	for oid := range b.state {
		if _, ok := want[oid]; ok {
			continue
		}
		if _, err := snap.Find(oid); !errors.Is(err, storage.ErrNotFound) {
			b.Fatalf("object %s is still there: %v", oid, err)
		}
		delete(b.state, oid)
	}
	if got := s.Stats().Objects; got != uint64(len(want)) {
		b.Fatalf("%d objects, want %d", got, len(want))
	}
}

// names lists what lies beside the database.
func (b *bed) names() (names []string) {
	for name, err := range b.disk.Process("list").List(path) {
		b.must(err)
		names = append(names, name)
	}
	return names
}
