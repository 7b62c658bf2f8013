package filestorage

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/mem"
)

// builtObjects is how many objects the databases of built have.
const builtObjects = 900

// built is a database as a pack leaves it, of several base frames.
func built(fsys vfs.FS, path string) error {
	b, err := NewBuilder(fsys, path, Outline{ID: [16]byte{7}, Generation: 3, TID: 2000, High: 5000})
	if err != nil {
		return err
	}
	defer func() { _ = b.Abort() }() // an error was met already
	class, err := b.Class("built.Thing")
	if err != nil {
		return err
	}
	for i := range builtObjects {
		oid := storage.OID(i + 1)
		rec := storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: payload(i, 0, 1000)}
		if i > 0 {
			rec.Strong = []storage.OID{oid - 1}
		}
		if err := b.Add(&rec, storage.TID(1000+i), time.UnixMicro(int64(i))); err != nil {
			return err
		}
	}
	return b.Commit()
}

// TestRescueFails: whatever fails while a database is built or salvaged, the new file is whole, or
// is not there.
func TestRescueFails(t *testing.T) {
	sm := newSample(t, 16<<10)
	data := bytes.Clone(sm.data)
	clear(data[5000:6000])
	whole := func(d *mem.Disk, name string) {
		t.Helper()
		s := opened(t, name, simulated(d.Process("V")))
		defer s.Close()
		if v, err := s.Verify(t.Context(), nil); err != nil || v.Tail != 0 || v.Objects == 0 {
			t.Fatalf("%+v %v", v, err)
		}
	}
	for name, work := range map[string]func(vfs.FS) error{
		"build": func(f vfs.FS) error { return built(f, rescuedPath) },
		"salvage": func(f vfs.FS) error {
			_, err := Salvage(context.Background(), SalvageOptions{FS: f, In: worldPath, Out: rescuedPath})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []bool{false, true} {
				for n := 1; ; n++ {
					d := mem.NewVolatile()
					if err := d.WriteFile(worldPath, bytes.Clone(data)); err != nil {
						t.Fatal(err)
					}
					calls := fault.New(d.Process("S"), 1)
					remove := calls.Add(fault.Rule{Nth: n, After: after, Effect: fault.Fail(syscall.EIO)})
					err := work(calls)
					hits := remove()
					_, rerr := d.ReadFile(rescuedPath)
					there := !errors.Is(rerr, fs.ErrNotExist)
					if !errors.Is(err, vfs.ErrUnknownOutcome) && there != (err == nil) {
						t.Fatalf("call %d fails, after it %v: the file is there: %v, %v", n, after, there, err)
					}
					if there {
						whole(d, rescuedPath)
					}
					if hits == 0 {
						if err != nil || n < 5 {
							t.Fatalf("nothing failed at call %d: %v", n, err)
						}
						break
					}
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := mem.NewVolatile()
	if err := d.WriteFile(worldPath, data); err != nil {
		t.Fatal(err)
	}
	if _, err := Salvage(ctx, SalvageOptions{FS: d.Process("S"), In: worldPath, Out: rescuedPath}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestBuilderRefuses(t *testing.T) {
	d := mem.NewVolatile()
	for _, high := range []storage.OID{0, 1, storage.MaxOID + 1} {
		if _, err := NewBuilder(d.Process("B"), "/x", Outline{High: high}); err == nil {
			t.Errorf("accepted %d as first free id", high)
		}
	}
	b, err := NewBuilder(d.Process("B"), "/x", Outline{High: 10, TID: 5})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Class(""); err == nil {
		t.Error("accepted a class without a name")
	}
	if _, err := b.Class("a"); err != nil {
		t.Fatal(err)
	}
	good := storage.Record{OID: 2, Class: 1, Payload: []byte{0xc0}}
	if err := b.Add(&good, 5, time.UnixMicro(0)); err != nil {
		t.Fatal(err)
	}
	for what, rec := range map[string]storage.Record{
		"twice": good, "no id": {Class: 1}, "a free id": {OID: 10, Class: 1}, "no class": {OID: 3}, "another class": {OID: 3, Class: 2},
		"a reference to nothing": {OID: 3, Class: 1, Strong: []storage.OID{0}}, "a weak one to a free id": {OID: 3, Class: 1, Weak: []storage.OID{10}},
	} {
		if err := b.Add(&rec, 5, time.UnixMicro(0)); err == nil {
			t.Errorf("accepted %s", what)
		}
	}
	if err := b.Add(&storage.Record{OID: 4, Class: 1, Strong: []storage.OID{2, 9, 7}}, 6, time.UnixMicro(0)); err == nil {
		t.Error("accepted a transaction behind the newest")
	}
	if err := b.Add(&storage.Record{OID: 4, Class: 1, Strong: []storage.OID{2, 9, 7}}, 5, time.UnixMicro(0)); err != nil || b.Missing() != 7 {
		t.Errorf("%v, missing %s", err, b.Missing())
	}
	if err := b.Abort(); err != nil || len(d.Names()) > 0 {
		t.Errorf("%v, left: %v", err, d.Names())
	}
}

// A packed file is base frames: what is intact in them keeps the transaction that
// wrote it.
func TestSalvageOfPacked(t *testing.T) {
	d := mem.NewVolatile()
	if err := built(d.Process("B"), worldPath); err != nil {
		t.Fatal(err)
	}
	data, err := d.ReadFile(worldPath)
	if err != nil {
		t.Fatal(err)
	}
	_, before := readTold(t, data)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	known := 0
	for range 12 {
		damaged := bytes.Clone(data)
		for range 3 {
			clear(damaged[headerSize+rng.IntN(len(data)-headerSize-700):][:700])
		}
		out, r, err := salvaged(damaged, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		_, after := readTold(t, out)
		missing := 0
		for oid, was := range before {
			is, ok := after[oid]
			if ok && is[bytes.IndexByte([]byte(is), ':'):] != was[bytes.IndexByte([]byte(was), ':'):] && oid != rootOID {
				t.Fatalf("object %s is another one", oid)
			}
			if !ok {
				missing++
			}
		}
		if missing > 9 || r.OlderTotal > 0 || r.Complete() {
			t.Fatalf("%d objects are missing: %+v", missing, r)
		}
		known += knownWriters(t, out)
	}
	if known < 12*builtObjects/4 {
		t.Errorf("of only %d objects it is known who wrote them", known)
	}
}

// knownWriters counts the objects of a salvaged file of built of which it is known
// which transaction wrote them.
func knownWriters(t *testing.T, out []byte) (known int) {
	t.Helper()
	d := mem.NewVolatile()
	if err := d.WriteFile(rescuedPath, out); err != nil {
		t.Fatal(err)
	}
	s := opened(t, rescuedPath, simulated(d.Process("R")))
	defer s.Close()
	snap, err := s.Begin(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for p, err := range snap.Objects(2) {
		if err != nil {
			t.Fatal(err)
		}
		tid, _, err := s.Writer(snap, p.OID, p.Position)
		if err != nil {
			t.Fatal(err)
		}
		switch tid {
		case storage.TID(999 + p.OID):
			known++
		case 2000: // the table of its frame is gone: all that is known is the horizon
		default:
			t.Fatalf("object %s is said to be written by %s", p.OID, tid)
		}
	}
	return known
}
