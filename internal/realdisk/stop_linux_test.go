package realdisk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// stopTimeout is how long the others wait for the lock of one who is stopped.
const stopTimeout = 200 * time.Millisecond

// A process is stopped at a system call of a commit, at each of them. Who
// needs the lock and cannot have it is told so in time, and who has it; nobody
// takes it away; Views go on. When the process goes on
// all is well. F31,
// acceptance test 17
func TestFaultStopped(t *testing.T) {
	needStrace(t)
	rnd := newRand(t)
	stop := []trouble{{name: "stopped", what: "signal=STOP"}}
	all := slices.DeleteFunc(experiments(t, rnd, stop), func(e experiment) bool { return e.company != "after" || e.scene.files == nil })
	left := time.Now().Add(lasts(t, 4*time.Second))
	outcomes := make(map[string]int)
	for _, e := range all {
		if !thorough() && time.Now().After(left) && outcomes["refused"] > 0 && outcomes["admitted"] > 0 {
			break
		}
		outcomes[e.stop(t)]++
	}
	t.Logf("while one was stopped the other was: %v", outcomes)
	if outcomes["refused"] == 0 || outcomes["admitted"] == 0 {
		t.Error("nobody was stopped inside of the lock, or nobody outside")
	}
}

// stop runs one experiment and says what became of the other process.
func (e *experiment) stop(t *testing.T) (outcome string) {
	t.Helper()
	path, a := e.scene.set(t), newAccount()
	db, err := durus.Open(path, &durus.Options{Check: durus.CheckNothing, Logger: quiet, LockTimeout: stopTimeout})
	if err != nil {
		t.Fatal(err)
	}
	c, tr := e.scene.child(t, path, injection{e.call, e.trouble.what, fmt.Sprint(e.nth)})
	var found []error
	switch {
	case !tr.stopped():
		outcome = "not needed"
	case tr.latched():
		outcome, err = latched(db, a)
		c.signal(syscall.SIGCONT)
	default:
		outcome, err = refused(db, c.pid(), a)
		c.signal(syscall.SIGCONT)
	}
	found = append(found, err)
	c.wait()
	a.add(1, c.all())
	if c.err != nil || a.count("ok") < attempts {
		found = append(found, fmt.Errorf("who was stopped did not go on well: %v, %q %s", c.err, c.all(), &c.stderr))
	}
	_, err = transact(db, companion, 3)
	a.note(companion, 3, err)
	found = append(found, err, db.Close())
	_, err = judge(path, a, leniency{})
	found = append(found, err, unchanged(path, e.scene.durable))
	if err := errors.Join(found...); err != nil {
		t.Errorf("%s, the other %s:\n%v", e, outcome, err)
	}
	return outcome
}

// refused looks and commits twice while somebody is stopped who may have the
// lock.
func refused(db *durus.DB, pid int, a *account) (outcome string, err error) {
	begin := time.Now()
	_, _, looked := look(db)
	if took := time.Since(begin); looked == nil && took > 5*stopTimeout {
		looked = fmt.Errorf("it took %v", took)
	}
	if looked != nil {
		return "looked", fmt.Errorf("a View: %w", looked)
	}
	_, first := transact(db, companion, 1)
	a.note(companion, 1, first)
	begin = time.Now()
	_, again := transact(db, companion, 2)
	a.note(companion, 2, again)
	took := time.Since(begin)
	var locked *durus.LockError
	switch {
	case first == nil && again == nil:
		return "admitted", nil
	case !errors.Is(first, durus.ErrLocked) || !errors.Is(again, durus.ErrLocked) || !errors.As(again, &locked):
		return "refused", fmt.Errorf("it was told %w, then %w", first, again)
	case locked.Holder != pid && locked.Holder != 0:
		return "refused", fmt.Errorf("%w: the holder is process %d", again, pid)
	case took < stopTimeout || took > 10*stopTimeout:
		return "refused", fmt.Errorf("it was refused after %v, not %v", took, stopTimeout)
	}
	return "refused", nil
}

// latched looks and commits once while somebody is stopped in the microseconds
// in which he has the latch of the mark. Until he goes on nobody else can note
// what is durable: Views go on, and a commit ends in time, one way or the other.
func latched(db *durus.DB, a *account) (outcome string, err error) {
	begin := time.Now()
	_, _, looked := look(db)
	if took := time.Since(begin); looked == nil && took > 5*stopTimeout {
		looked = fmt.Errorf("it took %v", took)
	}
	if looked != nil {
		return "looked", fmt.Errorf("a View: %w", looked)
	}
	begin = time.Now()
	_, err = transact(db, companion, 1)
	a.note(companion, 1, err)
	took := time.Since(begin)
	switch {
	case err != nil && !errors.Is(err, durus.ErrLocked) && !errors.Is(err, durus.ErrUnknownOutcome):
		return "latched", fmt.Errorf("it was told %w", err)
	case took > 10*stopTimeout:
		return "latched", fmt.Errorf("it took %v, not %v", took, stopTimeout)
	}
	return "latched", nil
}

// A sync fails. Who waits for it is told that the outcome is unknown, and the
// next acknowledgement comes only after the bytes have been written again and
// then synced: a second sync alone proves nothing. F5, RELIABILITY fact 1
func TestFaultSyncHeals(t *testing.T) {
	needStrace(t)
	stage, rewritten := scenes(t), int64(0)
	for i := range stage {
		s := &stage[i]
		for n := 1; n <= 5; n++ {
			path, a := s.set(t), newAccount()
			c, tr := trace(t, "commit", commitTask{Path: path, Process: 1, First: 1, Count: attempts},
				[]string{"pwrite64", "fdatasync", "writev"}, nil, injection{"fdatasync", "error=EIO", fmt.Sprint(n)})
			c.wait()
			a.add(1, c.all())
			again, err := healed(tr.all())
			if err != nil {
				t.Errorf("%s, sync %d: %v", s.name, n, err)
			}
			rewritten += again
			if _, err := judge(path, a, leniency{}); err != nil {
				t.Errorf("%s, sync %d: %v", s.name, n, err)
			}
			if !tr.hit().injected && n < 3 {
				t.Errorf("%s: there was no sync %d", s.name, n)
			}
		}
	}
	if rewritten == 0 {
		t.Error("nothing was ever written again")
	}
}

// healed looks at the order of system calls: whenever success is reported, all
// bytes of the file that this process has written were followed by a good sync,
// and those before a failed one were written again before it: so many.
func healed(calls []call) (rewritten int64, err error) {
	var pending, lost spans // what the next good sync covers, what no sync will
	file := ""
	for _, c := range calls {
		fd, _, _ := strings.Cut(c.args, ",")
		switch {
		case c.name == "fdatasync" && c.injected:
			lost, pending = append(lost, pending...), nil
		case c.name == "fdatasync":
			pending = nil
		case c.name == "writev" && strings.Contains(c.args, `"ok `) && len(lost)+len(pending) > 0:
			return 0, fmt.Errorf("%s, but no sync has covered %v, and %v were not written again since one failed", c.args, pending, lost)
		}
		if c.name == "fdatasync" {
			file = fd
		}
		if c.name == "pwrite64" && !strings.Contains(c.args, "durusmk") && (file == "" || fd == file) {
			one, err := spanOf(c.args)
			if err != nil {
				return 0, err
			}
			before := lost.size()
			pending, lost = append(pending, one), lost.without(one)
			rewritten += before - lost.size()
		}
	}
	return rewritten, nil
}

// span is a range of bytes of a file.
type span struct{ from, to int64 }

type spans []span

// spanOf reads the last two arguments of a pwrite64.
func spanOf(args string) (s span, err error) {
	parts := strings.Split(args, ", ")
	if len(parts) < 4 {
		return s, fmt.Errorf("no write: %s", args)
	}
	var n int64
	_, err = fmt.Sscan(parts[len(parts)-2]+" "+parts[len(parts)-1], &n, &s.from)
	s.to = s.from + n
	return s, err
}

func (all spans) without(cut span) (rest spans) {
	for _, s := range all {
		if s.from < cut.from {
			rest = append(rest, span{s.from, min(s.to, cut.from)})
		}
		if s.to > cut.to {
			rest = append(rest, span{max(s.from, cut.to), s.to})
		}
	}
	return rest
}

func (all spans) size() (n int64) {
	for _, s := range all {
		n += s.to - s.from
	}
	return n
}
