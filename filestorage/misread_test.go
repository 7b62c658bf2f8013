package filestorage

import (
	"fmt"
	"io"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

// misread is a storage whose n-th read, counted from when it is armed, brings
// something else than what is in the file. The reads after it are right.
type misread struct {
	n, seen int // not armed: n is 0
	wrong   func(c *wrap.Call)
}

func (m *misread) over(f vfs.FS) vfs.FS {
	return wrap.New(f, func(c *wrap.Call) {
		c.Next()
		if c.Op != wrap.Read || m.n == 0 || c.Err != nil && c.N == 0 {
			return
		}
		if m.seen++; m.seen == m.n {
			m.wrong(c)
		}
	})
}

// misreads are the ways in which a read is wrong.
var misreads = map[string]func(c *wrap.Call){
	"ends at once": func(c *wrap.Call) { c.N, c.Err = 0, io.EOF },
	"ends early":   func(c *wrap.Call) { c.N, c.Err = c.N/2, io.EOF },
	"first byte":   func(c *wrap.Call) { c.Data[0] ^= 1 },
	"last byte":    func(c *wrap.Call) { c.Data[c.N-1] ^= 0x80 },
	"all zeros":    func(c *wrap.Call) { clear(c.Data[:c.N]) },
}

// One read of a process that commits is wrong, each of them in turn, in each
// way: what another one has committed is never cut off, and the process fails
// or succeeds, and goes on. F7 F8 F9
func TestMisreadCutsNothing(t *testing.T) {
	im, oid := two(t)
	tried := 0
	for name, wrong := range misreads {
		for n := 1; ; n++ {
			d := im.Disk()
			m := &misread{wrong: wrong}
			a, err := Open(worldPath, simulated(d.Process("A")))
			must(t, err)
			b, err := Open(worldPath, simulated(m.over(d.Process("B"))))
			must(t, err)
			_, err = edit(b, oid, "of b")
			must(t, err)
			snap, err := b.Begin(background, true)
			must(t, err)
			tid, err := edit(a, oid, "of a") // acknowledged, and B has not seen it
			must(t, err)
			other, err := a.NewOID(background)
			must(t, err)
			m.n = n
			_, err = b.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: other, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}}}})
			fired := m.seen >= n
			m.n = 0
			snap.Release()
			where := fmt.Sprintf("read %d %s (the commit said %v)", n, name, err)
			if err != nil && !fired {
				t.Fatal(where)
			}
			fresh := opened(t, worldPath, simulated(d.Process("C")))
			if ok, err := fresh.Committed(tid); !ok || err != nil {
				t.Fatalf("%s: what A committed is gone: %v", where, err)
			}
			for _, s := range []*Storage{fresh, b} {
				if err := again(func() error { _, err := edit(s, oid, "later"); return err }); err != nil {
					t.Fatalf("%s: afterwards: %v", where, err)
				}
			}
			must(t, clean(fresh))
			if !fired {
				break
			}
			tried++
		}
	}
	t.Logf("%d misreads", tried)
	if tried < 5*len(misreads) {
		t.Error("the misreads did not reach what they should")
	}
}

// A process reads a frame wrongly and takes it for an interrupted commit. Before
// it has cut that off, the writer of the frame syncs, raises the mark and
// reports success: nothing is cut, and the frame is read again. F7
func TestMarkIsRaisedBeforeTheCut(t *testing.T) {
	im, oid := two(t)
	cuts := 0
	for n := 1; n < 8; n++ {
		d := im.Disk()
		m := &misread{wrong: misreads["last byte"]}
		pa, pb := d.Process("A"), d.Process("B")
		a := opened(t, worldPath, simulated(pa))
		b := opened(t, worldPath, simulated(m.over(pb)))
		for _, s := range []*Storage{a, b} {
			_, err := edit(s, oid, "before")
			must(t, err)
		}
		other, err := b.NewOID(background)
		must(t, err)
		snap, err := b.Begin(background, true)
		must(t, err)
		_, err = look(a, oid)
		must(t, err)

		at := map[string]chan struct{}{"A": make(chan struct{}), "B": make(chan struct{})}
		stops := map[string]mem.Kind{"A": mem.OpSync, "B": mem.OpLatch}
		d.Hook = func(op mem.Op) mem.Action {
			if kind, ok := stops[op.Process]; ok && op.Kind == kind {
				delete(stops, op.Process)
				close(at[op.Process])
				return mem.Stop()
			}
			if op.Process == "B" && op.Kind == mem.OpTruncate {
				cuts++
			}
			return mem.Proceed()
		}
		var tid storage.TID
		doneA, doneB := make(chan error, 1), make(chan error, 1)
		go func() {
			var err error
			tid, err = edit(a, oid, "of a")
			doneA <- err
		}()
		<-at["A"] // it has appended, and is about to sync
		m.n = n
		go func() {
			_, err = b.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: other, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}}}})
			doneB <- err
		}()
		var errB error
		over := false
		select {
		case <-at["B"]: // it is about to cut, or to raise the mark for its own commit
		case errB = <-doneB:
			over = true
		}
		pa.Continue()
		errA := <-doneA
		pb.Continue()
		if !over {
			errB = <-doneB
		}
		d.Hook = nil
		t.Logf("read %d: the commits said %v and %v", n, errA, errB)
		snap.Release()
		fresh := opened(t, worldPath, simulated(d.Process("C")))
		if ok, err := fresh.Committed(tid); errA == nil && !ok || err != nil {
			t.Fatalf("read %d: what A committed is gone: %v", n, err)
		}
		must(t, clean(fresh))
	}
	if cuts > 0 {
		t.Errorf("%d times something was cut off", cuts)
	}
}
