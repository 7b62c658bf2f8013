package filestorage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/async"
	"github.com/durusdb/durus/vfs/cache"
	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/latency"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/trace"
)

// stacks are the wrappers that a database is put on.
var stacks = []struct {
	name string
	over func(vfs.FS) vfs.FS
}{
	{"nothing", func(f vfs.FS) vfs.FS { return f }},
	{"async", func(f vfs.FS) vfs.FS { return async.New(f, async.Options{}) }},
	{"async, one worker", func(f vfs.FS) vfs.FS { return async.New(f, async.Options{Workers: 1, ReadBytes: 1 << 16}) }},
	{"cache", func(f vfs.FS) vfs.FS { return cache.New(f, cache.Options{}) }},
	{"small cache", func(f vfs.FS) vfs.FS { return cache.New(f, cache.Options{Bytes: 1 << 12, Page: 1 << 9}) }},
	{"trace over fault", func(f vfs.FS) vfs.FS { return trace.New(fault.New(f, 1)) }},
	{"async over latency", func(f vfs.FS) vfs.FS { return async.New(delayed(f), async.Options{}) }},
	{"cache over async", func(f vfs.FS) vfs.FS { return cache.New(async.New(f, async.Options{}), cache.Options{}) }},
}

// delayed is a storage whose calls take some time, so that asynchronous ones
// are under way for a while.
func delayed(f vfs.FS) vfs.FS {
	return latency.New(f, latency.Profile{Read: 20 * time.Microsecond, Write: 20 * time.Microsecond, Sync: 50 * time.Microsecond, Jitter: 1, Seed: 1})
}

// The same transactions give the same bytes, in the file and in the mark, on
// every stack of wrappers, and read back the same. B3 B7 B11
func TestSameBytesOnEveryStack(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var file, mark []byte
	for _, st := range stacks {
		t.Run(st.name, func(t *testing.T) {
			d := mem.NewDisk()
			h := Header{Format: formatNumber, Salt: 1, HighOID: firstOID, Synced: headerSize}
			p := d.Process("A")
			must(t, createWith(p, worldPath, 0o600, &h))
			write(t, seed, func(name string) *Storage { return opened(t, worldPath, simulated(st.over(d.Process(name)))) })
			gotFile, err := d.ReadFile(worldPath)
			must(t, err)
			gotMark, err := d.ReadFile(lockName(worldPath))
			must(t, err)
			if file == nil {
				file, mark = gotFile, gotMark
			}
			if !bytes.Equal(gotFile, file) {
				t.Errorf("the file has %d bytes, and others than the %d without wrappers", len(gotFile), len(file))
			}
			if !bytes.Equal(gotMark, mark) {
				t.Errorf("the mark is %x, and %x without wrappers", gotMark, mark)
			}
		})
	}
}

// A backup is copied over the database in place, or renamed over it, while a
// handle with a stack of wrappers has it open and has read everything: the next
// transaction, or the one after it, shows the state of the backup and nothing of
// what was read before. B8 F25 F26
func TestRestoreUnderEveryStack(t *testing.T) {
	for _, st := range stacks {
		for _, inPlace := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, in place %v", st.name, inPlace), func(t *testing.T) {
				d := mem.NewDisk()
				s := opened(t, worldPath, simulated(st.over(d.Process("A"))))
				first := filled(t, s)
				other, err := s.NewOID(background)
				must(t, err)
				_, err = edit(s, other, "kept")
				must(t, err)
				must(t, d.Copy(worldPath, "/backup"))
				b := opened(t, "/backup", simulated(d.Process("B"))) // has a history of the same shape
				for i := range 20 {
					for text, s := range map[string]*Storage{"mine": s, "past": b} {
						_, err = edit(s, first, fmt.Sprint(text, i, string(make([]byte, 500))))
						must(t, err)
					}
				}
				_, err = edit(b, other, "kept") // an equal size would be noticed by the next commit only
				must(t, err)
				want, err := look(b, first)
				must(t, err)
				must(t, b.Close())
				for _, oid := range []storage.OID{first, other} {
					_, err = look(s, oid)
					must(t, err)
				}
				if inPlace {
					b, err := d.ReadFile("/backup")
					must(t, err)
					must(t, d.WriteFile(worldPath, b))
				} else {
					must(t, d.Rename("/backup", worldPath))
				}
				must(t, d.Remove(lockName(worldPath))) // its mark is of the lost history
				if !inPlace {                          // who only reads looks at the name now and then, who commits always
					if _, err := edit(s, first, "lost"); !errors.Is(err, storage.ErrRewound) {
						t.Fatalf("a commit to a file that was replaced: %v", err)
					}
				}
				for oid, want := range map[storage.OID]string{first: want, other: "kept"} {
					got, err := look(s, oid)
					for try := 0; errors.Is(err, storage.ErrRewound) && try < 3; try++ {
						got, err = look(s, oid)
					}
					if err != nil || got != want {
						t.Errorf("object %s: %.20q, %v; want %.20q", oid, got, err, want)
					}
				}
				must(t, again(func() error { _, err := edit(s, first, "new"); return err }))
				must(t, clean(s))
			})
		}
	}
}

// write lets two handles commit in turn, each on what the other one has just
// committed, and reads everything back through both.
func write(t *testing.T, seed uint64, open func(name string) *Storage) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	handles := []*Storage{open("A"), open("B")}
	_, err := handles[0].ClassID(background, "stacks.Thing")
	must(t, err)
	want := map[storage.OID]string{}
	var oids []storage.OID
	for i := range 30 {
		s := handles[i%2]
		if i < 20 {
			oid, err := s.NewOID(background)
			must(t, err)
			oids = append(oids, oid)
		}
		oid := oids[rnd.IntN(len(oids))]
		text := fmt.Sprint(i, string(make([]byte, rnd.IntN(5000))))
		_, err := edit(s, oid, text)
		must(t, err)
		want[oid] = text
		other := handles[(i+1)%2]
		for oid, text := range want {
			if got, err := look(other, oid); err != nil || got != text {
				t.Fatalf("commit %d: object %s has %d bytes, %v; want %d", i, oid, len(got), err, len(text))
			}
		}
	}
	for _, s := range handles {
		must(t, clean(s))
		must(t, s.Close())
	}
}
