package filestorage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/wrap"
)

// Whatever happens to a file that several processes write (failing and torn
// writes, failing syncs, kills, full disks), bytes that were ever known to be
// durable never change: for every length L that somebody was told of, [0, L) is
// at the end what it was then. A7 B11 F2
func TestCommittedBytesNeverChange(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	im, oid := two(t)
	rounds, faults := 60, 0
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		d := im.Disk()
		handles := map[string]*Storage{}
		var known [][]byte // what was durable, each time that somebody looked
		open := func(name string) *Storage {
			if handles[name] == nil {
				s, err := Open(worldPath, simulated(d.Process(name))) // it ends with the disk
				must(t, err)
				handles[name] = s
			}
			return handles[name]
		}
		for range 40 {
			name := string(rune('A' + rnd.IntN(3)))
			s := open(name)
			var remove func() int
			if rnd.IntN(3) == 0 {
				remove = d.Inject(mem.Fault{Process: name, Kinds: []mem.Kind{mem.OpAppend, mem.OpRewrite, mem.OpSync, mem.OpTruncate, mem.OpWriteMark},
					Nth: 1 + rnd.IntN(3), Action: []mem.Action{mem.Fail(syscall.EIO), mem.FailAfter(syscall.EIO), mem.ShortWrite(rnd.IntN(200), syscall.ENOSPC), mem.KillAfter(rnd.IntN(200))}[rnd.IntN(4)]})
			}
			_, err := edit(s, oid, fmt.Sprint(rnd.Uint64(), string(make([]byte, rnd.IntN(3000)))))
			if remove != nil {
				faults += remove()
			}
			if s.opts.FS.(*mem.Process).Killed() {
				delete(handles, name)
			} else if err == nil || errors.Is(err, storage.ErrConflict) {
				st := s.current().state.Load()
				now, err := d.ReadFile(worldPath)
				must(t, err)
				known = append(known, now[:st.base])
			}
		}
		last, err := d.ReadFile(worldPath)
		must(t, err)
		for i, was := range known {
			if !bytes.HasPrefix(last, was) {
				t.Fatalf("the %d bytes that were durable at look %d have changed", len(was), i)
			}
		}
		z := open("Z")
		_, err = edit(z, oid, "cuts what the dead have left")
		must(t, err)
		must(t, clean(z))
	}
	if faults < rounds {
		t.Errorf("only %d faults in %d rounds", faults, rounds)
	}
}

// The index is in memory: to look up ten thousand objects asks the storage for
// nothing, and to say what will be read does not wait for it. B12
func TestIndexAsksNothing(t *testing.T) {
	var calls atomic.Int64
	d := mem.NewVolatile()
	s := opened(t, worldPath, simulated(wrap.New(d.Process("A"), func(c *wrap.Call) {
		calls.Add(1)
		c.Next()
	})))
	_, err := s.ClassID(background, "index.Thing")
	must(t, err)
	var records []storage.Record
	for range 10_000 {
		oid, err := s.NewOID(background)
		must(t, err)
		records = append(records, storage.Record{OID: oid, Class: 1, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}})
	}
	snap, err := s.Begin(background, true)
	must(t, err)
	_, err = s.Commit(background, &storage.Commit{Base: snap, Records: records})
	must(t, err)
	snap.Release()
	snap, err = s.Begin(background, false)
	must(t, err)
	defer snap.Release()
	before := calls.Load()
	if before == 0 {
		t.Fatal("no calls are seen")
	}
	var positions []storage.Position
	for _, r := range records {
		pos, err := snap.Find(r.OID)
		must(t, err)
		positions = append(positions, pos)
	}
	snap.Prefetch(positions)
	if n := calls.Load() - before; n != 0 {
		t.Errorf("%d calls of the storage for 10,000 lookups", n)
	}
}
