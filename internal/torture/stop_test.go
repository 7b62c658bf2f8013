//go:build linux

package torture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/history"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// lockTimeout is that of those who wait for a stopped process.
const lockTimeout = time.Second

type holdTask struct{ Path string }

// runHold takes the commit lock, says "held", commits when it is told to, gives
// the lock back and says the transaction.
func runHold(task holdTask) error {
	st, err := openEngine(task.Path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	oid, err := st.NewOID(ctx)
	if err != nil {
		return err
	}
	class, err := st.ClassID(ctx, "torture.Blob")
	if err != nil {
		return err
	}
	hold, err := st.Hold(ctx, time.Hour)
	if err != nil {
		return err
	}
	base, err := st.Begin(ctx, true)
	if err != nil {
		return err
	}
	defer base.Release()
	if err := tell("held"); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	record := storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}} // nil
	tid, err := st.Commit(ctx, &storage.Commit{Base: base, Records: []storage.Record{record}, Hold: hold})
	if err != nil {
		return err
	}
	hold.Release()
	return errors.Join(tell("%d", tid), st.Close())
}

// D4, F31, acceptance test 17: while the holder of the lock is stopped, others
// are told so in time and by whom, readers notice nothing, and nobody takes
// the lock from it: when it goes on it still has it.
func TestStoppedHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stop.durus")
	db := open(t, path, &durus.Options{LockTimeout: lockTimeout})
	if _, err := increment(db, "x"); err != nil {
		t.Fatal(err)
	}
	free := latency(t, db, 50*time.Millisecond)
	before, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}

	holder := start(t, "hold", holdTask{path})
	holder.hear()
	holder.signal(syscall.SIGSTOP)
	named := lockWorks(t, path, holder.pid())
	refused := make(chan error, 1)
	go func() { refused <- mustBeLocked(db, holder.pid(), named) }()
	held := latency(t, db, 200*time.Millisecond)
	if err := <-refused; err != nil {
		t.Error(err)
	}
	if limit := max(3*free, lockTimeout/2); held > limit { // who waits for the holder waits longer
		t.Errorf("p99 of readers is %v while the holder is stopped, %v otherwise", held, free)
	}
	t.Logf("p99 of a View: %v, with the holder stopped: %v", free, held)

	holder.signal(syscall.SIGCONT)
	if err := mustBeLocked(db, holder.pid(), named); err != nil { // it has the lock still
		t.Error(err)
	}
	holder.say("commit")
	want := []string{holder.hear()}
	holder.finish()
	if _, err := increment(db, "x"); err != nil {
		t.Fatal(err)
	}
	last, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, last.String())
	if got := transactions(t, path, before+1); !slices.Equal(got, want) {
		t.Errorf("transactions %v, want only those of the holder and of who came after it: %v", got, want)
	}
}

// mustBeLocked checks that a writer is refused in time, with the name of the
// holder if the system can tell.
func mustBeLocked(db *durus.DB, pid int, named bool) error {
	begin := time.Now()
	_, err := increment(db, "x")
	took := time.Since(begin)
	var locked *durus.LockError
	switch {
	case !errors.Is(err, durus.ErrLocked) || !errors.As(err, &locked):
		return fmt.Errorf("a writer got %v, want ErrLocked", err)
	case named && (locked.Holder != pid || !strings.Contains(err.Error(), fmt.Sprint(pid))):
		return fmt.Errorf("%v: it names process %d, want %d", err, locked.Holder, pid)
	case took < lockTimeout || took > 3*lockTimeout:
		return fmt.Errorf("a writer was refused after %v, LockTimeout is %v", took, lockTimeout)
	}
	return nil
}

// latency is the 99th percentile of Views for a while.
func latency(t testing.TB, db *durus.DB, d time.Duration) time.Duration {
	t.Helper()
	var all []time.Duration
	for begin := time.Now(); time.Since(begin) < d || len(all) < 500; {
		now := time.Now()
		tally(t, db, "x")
		all = append(all, time.Since(now))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// transactions returns the ids of the transactions from first on.
func transactions(t testing.TB, path string, first storage.TID) (tids []string) {
	t.Helper()
	st, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for tx, err := range st.Transactions(first, math.MaxUint64) {
		if err != nil {
			t.Fatal(err)
		}
		tids = append(tids, tx.TID.String())
	}
	return tids
}

// probe tells who holds the commit lock of a file.
type probe struct {
	t      testing.TB
	data   vfs.File
	locker vfs.Locker
}

func newProbe(t testing.TB, path string, mode vfs.Mode) *probe {
	t.Helper()
	fsys := posix.New()
	data := fsys.Open(path, mode)
	p := &probe{t: t, data: data, locker: fsys.Locker(path+".lock", data, mode, 0o600)}
	if err := p.locker.Reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := data.Size(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.locker.Close(), p.data.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// lockWorks reports whether the system can tell who holds a lock.
func lockWorks(t testing.TB, path string, holder int) bool {
	t.Helper()
	if newProbe(t, path, vfs.ReadOnly).locker.Holder() == holder {
		return true
	}
	t.Log("this system does not tell who holds a lock: names of holders are not checked")
	return false
}

// F31: the same in the middle of real commits. Whoever holds the lock is
// stopped, and the others, the test among them, are kept out until it goes on.
func TestTortureStoppedInCommit(t *testing.T) {
	ring{
		writers: 3, readers: 1, goroutines: 2, workload: "mixed",
		require: history.Require{Committed: 100, Conflicts: 1},
		trouble: func(r *ringRun) {
			m := r.join(durus.Options{LockTimeout: lockTimeout})
			defer m.leave()
			p := newProbe(t, r.path, vfs.ReadOnly)
			if err := m.increment(); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Millisecond) // the clients have begun
			victim := r.stopHolder(p)
			if victim == nil {
				t.Skip("SKIP: within 10 s nobody could be stopped while he held the lock")
			}
			begin := time.Now()
			err := m.increment()
			var locked *durus.LockError
			if took := time.Since(begin); !errors.As(err, &locked) || locked.Holder != victim.pid() || took < lockTimeout || took > 3*lockTimeout {
				t.Errorf("after %v a writer got %v, want ErrLocked after %v, by process %d", took, err, lockTimeout, victim.pid())
			}
			victim.signal(syscall.SIGCONT)
			if err := m.increment(); err != nil {
				t.Errorf("after the holder went on: %v", err)
			}
		},
	}.run(t)
}

// stopHolder stops a client that holds the lock, nil if none can be caught.
func (r *ringRun) stopHolder(p *probe) *child {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		pid := p.locker.Holder()
		for _, c := range r.clients {
			if c.pid() != pid {
				continue
			}
			c.signal(syscall.SIGSTOP)
			time.Sleep(5 * time.Millisecond) // all its threads stand
			if p.locker.Holder() == pid {
				return c
			}
			c.signal(syscall.SIGCONT)
		}
	}
	return nil
}
