//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// ofLedger matches writes of file data, by content.
func ofLedger(p []byte, _ int64) bool { return bytes.Contains(p, []byte(cookie)) }

// evict makes the kernel forget what it has cached of a file. A page whose
// write failed counts as clean: the next reader gets what the disk has.
func evict(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
}

// healings are what can be done about a write that failed, before its bytes
// are written again.
var healings = []struct {
	name string
	grow bool // the write was an append to new blocks, not over old ones
	prep func(f *os.File, off, n int64) error
	must bool
	ours bool // with vfs.File.Rewrite
}{
	{name: "old blocks", must: true},
	// ext4 (Linux 6.18) does not heal: the extent stays unwritten, because the
	// page still thinks that it was converted, and every later write through
	// that page says that it is durable and is not.
	{name: "new blocks", grow: true},
	{name: "new blocks, evicted", grow: true, must: true, prep: func(f *os.File, _, _ int64) error { return evict(f.Name()) }},
	{name: "new blocks, punched out", grow: true, must: true, prep: func(f *os.File, off, n int64) error {
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}},
	{name: "old blocks, as durus does", must: true, ours: true},
	{name: "new blocks, as durus does", grow: true, must: true, ours: true},
}

// The ground that TestFailedSyncs stands on, seen without durus (RELIABILITY
// fact 1): a sync fails, the next one may succeed although the bytes are not on
// the disk, and the way to heal is to write them again and sync.
func TestHealing(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		for _, h := range healings {
			d := newDisk(t, kind)
			f, err := os.Create(filepath.Join(mounted(t, kind, d).Dir, "file"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			const off, n = 4096, 8192
			old := bytes.Repeat([]byte("old "), (off+n)/4)
			if h.grow {
				old = old[:off]
			}
			if _, err := f.Write(old); err != nil {
				t.Fatal(err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			b := bytes.Repeat([]byte(cookie+"\n"), n)[:n]
			d.Inject(Fault{Kind: Write, Match: ofLedger})
			if _, err := f.WriteAt(b, off); err != nil {
				t.Fatal(err)
			}
			if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EIO) {
				t.Fatalf("%s: fdatasync of a write that fails: %v", h.name, err)
			}
			retried := unix.Fdatasync(int(f.Fd()))
			log := d.Log()
			there := holds(t, kind, log, b, off)
			if retried == nil && there {
				t.Errorf("%s: the write failed, and its bytes are there", h.name)
			}
			if h.prep != nil {
				if err := h.prep(f, off, n); err != nil {
					t.Fatalf("%s: %v", h.name, err)
				}
			}
			if h.ours {
				ours := posix.New().Open(f.Name(), vfs.Append)
				_, err = ours.Rewrite(b, off)
				err = errors.Join(err, ours.Sync(), ours.Close())
			} else {
				_, err = f.WriteAt(b, off)
				err = errors.Join(err, unix.Fdatasync(int(f.Fd())))
			}
			if err != nil {
				t.Errorf("%s: writing again and fdatasync: %v", h.name, err)
			}
			healed := holds(t, kind, d.Log(), b, off)
			t.Logf("%s: a second fdatasync said %v; after writing again and fdatasync the bytes are there: %v", h.name, retried, healed)
			if h.must && !healed {
				t.Errorf("%s: bytes that were written again and synced are not there", h.name)
			}
		}
	})
}

// holds tells whether the file has these bytes after a power cut at the end of
// a log.
func holds(t *testing.T, kind FileSystem, log Log, b []byte, off int) bool {
	t.Helper()
	data, err := readFile(t, kind, cut{moment: len(log.Ops)}.image(log.Play()), "file")
	if err != nil {
		t.Fatal(err)
	}
	return len(data) >= off && bytes.HasPrefix(data[off:], b)
}

// failures are the ways in which a disk fails once.
var failures = []struct {
	name string
	Fault
	heals bool // the file system itself bears it, so durus must
}{
	{"write", Fault{Kind: Write, Match: ofLedger}, true},
	{"torn write", Fault{Kind: Write, Match: ofLedger, Torn: Sector}, true},
	{"flush", Fault{Kind: Flush}, false},
	{"write of anything", Fault{Kind: Write}, false},
}

// TestFailedSyncs lets the nth write of the ledger's bytes, or the nth flush,
// fail once while two processes commit. The kernel forgets what it has in
// memory, others with new descriptors join them, and the power is cut. Nothing
// that anybody was told may be missing, whatever the disk answered to whom; and
// where the file system itself bears the failure, all go on.
// F5
func TestFailedSyncs(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		deadline, long := share(0.25)
		rnd := rand.New(rand.NewPCG(newSeed(t), 0))
		var n tried
		troubled, runs := 0, 0
		began := time.Now()
		// In a long run every nth, until a run ends before its turn comes.
		// Otherwise the second, which hits blocks that are new to the file
		// (see TestHealing), and then some.
		over := map[string]bool{}
		for i := 0; i < len(failures) || len(over) < len(failures) && time.Now().Before(deadline); i++ {
			failure := failures[i%len(failures)]
			if over[failure.name] {
				continue
			}
			round := i / len(failures)
			switch {
			case long:
				failure.After = round
			case round == 0:
				failure.After = 1
			default:
				failure.After = rnd.IntN(30)
			}
			r := record(t, kind, rnd.Uint64())
			// In the first run the pages stay until all have written.
			fired, moment := r.fail(failure.Fault, i > 0 && rnd.IntN(2) == 0)
			if long && !fired {
				over[failure.name] = true
			}
			runs++
			if r.isTroubled() {
				troubled++
			}
			if fired && failure.heals && r.heard() < 4*eachWrites {
				t.Errorf("seed %d, %s %d failed: only %d transactions of %d were acknowledged: %q",
					r.seed, failure.name, failure.After, r.heard(), 4*eachWrites, r.trouble)
			}
			log := r.disk.Log()
			if err := r.mount.Unmount(); err != nil && failure.heals {
				t.Error(err)
			}
			r.judgeAll(log, append(r.cuts(log, moment, 2), cut{moment: len(log.Ops)}), &n)
			if t.Failed() {
				t.Logf("%s %d failed, somebody was told: %q", failure.name, failure.After, r.trouble)
				return
			}
		}
		t.Logf("%d runs in %v, in %d of them somebody was told of a failure; %d images, %d that the file system refused",
			runs, time.Since(began).Round(time.Millisecond), troubled, n.images, n.refused)
		if troubled == 0 {
			t.Error("nobody was told of any failure: that shows nothing")
		}
	})
}

// eachWrites is how many transactions each of the writers makes.
const eachWrites = 8

// fail records four writers on a disk that fails. Two begin; the third comes
// when the disk has failed, or the others have ended, at the moment that is
// returned; the last comes when all have ended. The kernel forgets the pages of
// the file before the last and, if early, before the third, who then sees what
// the disk has before anybody has written it again.
func (r *recording) fail(f Fault, early bool) (fired bool, moment int) {
	r.t.Helper()
	happened := r.disk.Inject(f)
	var a, b *child
	if r.kind.alone {
		a = r.write(eachWrites, "", 0, 1)
		b = a
	} else {
		a, b = r.write(eachWrites, "", 0), r.write(eachWrites, "", 1)
	}
	select {
	case <-happened:
	case <-a.gone:
		<-b.gone
	}
	moment = r.disk.Moment()
	// Whoever waits for the sync gets its answer before the pages go.
	for end := time.Now().Add(20 * time.Millisecond); !r.isTroubled() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if early {
		_ = evict(r.path) // an error: see below
	}
	if r.kind.alone {
		_ = a.wait() // asked for again below
	}
	c := r.write(eachWrites, "", 2)
	err := errors.Join(a.wait(), b.wait(), c.wait())
	// An error: it was never created, or the file system has shut itself down.
	_ = evict(r.path)
	if err := errors.Join(err, r.write(eachWrites, "", 3).wait()); err != nil {
		r.t.Error(err)
	}
	select {
	case <-happened:
		return true, moment
	default:
		return false, moment
	}
}
