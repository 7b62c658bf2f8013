package realdisk

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// sweepCalls are the system calls that reach files. Those that strace is told
// to follow wherever they lead are fewer: the Go runtime makes the others, too.
var (
	sweepCalls = append(everyCalls[:len(everyCalls):len(everyCalls)], "fcntl")
	everyCalls = append(mayFail[:len(mayFail):len(mayFail)], "close")
)

// mayFail are those that can. A close that reports an error has closed.
var mayFail = []string{
	"openat", "write", "pread64", "pwrite64", "lseek", "fdatasync", "fsync", "flock", "ftruncate", "renameat2", "fstat",
	"newfstatat", "statfs", "linkat", "unlinkat", "fchmod", "fchown", "getdents64",
}

// trouble is one thing to do at a system call.
type trouble struct {
	name, what string
	calls      []string // to which; none: all
	harmless   bool     // nobody may notice
}

var troubles = []trouble{
	{name: "killed", what: "signal=KILL"},
	{name: "EIO", what: "error=EIO", calls: mayFail},
	{name: "ENOSPC", what: "error=ENOSPC", calls: []string{"openat", "write", "pwrite64", "ftruncate", "fdatasync", "fsync", "renameat2"}},
	{name: "EINTR", what: "error=EINTR", harmless: true,
		calls: []string{"openat", "write", "pread64", "pwrite64", "fdatasync", "fsync", "flock", "ftruncate", "renameat2", "fstat", "newfstatat"}},
	// A file that seems to be shorter than it is, and a read that gives one
	// byte which is not the file's.
	{name: "no bytes", what: "retval=0", calls: []string{"pread64"}},
	{name: "a wrong byte", what: "retval=1", calls: []string{"pread64"}},
	// A write that does nothing and says so, and one that has lost the first
	// byte and says nothing.
	{name: "nothing written", what: "retval=0", calls: []string{"pwrite64"}},
	{name: "a byte lost", what: "retval=1", calls: []string{"pwrite64"}},
}

// experiment is one injection.
type experiment struct {
	scene   *scene
	trouble *trouble
	call    string
	nth     int
	company string
}

func (e *experiment) String() string {
	return fmt.Sprintf("%s, %s, %s at %s %d", e.scene.name, e.company, e.trouble.name, e.call, e.nth)
}

// fewest is how many experiments are made however slow the machine is.
const fewest = 30

// A system call of create, open and commit fails, lies or is the last one, for
// each of them: alone, before and while another process commits. F5 F7 F9 F10
// F33, acceptance test 3
func TestFaultSweep(t *testing.T) {
	needStrace(t)
	rnd := newRand(t)
	all := experiments(t, rnd, troubles)
	left := time.Now().Add(lasts(t, 10*time.Second))
	fired, tried := make(map[string]int), 0
	for _, e := range all {
		if !thorough() && time.Now().After(left) && tried >= fewest {
			break
		}
		tried++
		if e.run(t) {
			fired[e.trouble.name]++
		}
		if t.Failed() && !thorough() {
			return
		}
	}
	total := 0
	for _, n := range fired {
		total += n
	}
	t.Logf("%d of %d experiments, %d injections: %v", tried, len(all), total, fired)
	if total < tried/2 {
		t.Errorf("only %d of %d injections hit anything", total, tried)
	}
}

// experiments counts the system calls of every scene and returns every
// injection there is, in random order.
func experiments(t testing.TB, rnd *rand.Rand, troubles []trouble) (all []experiment) {
	t.Helper()
	stage := scenes(t)
	for i := range stage {
		s := &stage[i]
		path := s.set(t)
		c, tr := s.child(t, path, injection{})
		c.wait()
		counts := tr.counts()
		if counts["pwrite64"] < 6 || counts["fdatasync"] < 3 {
			t.Fatalf("%s: strace saw %v only; %q %s", s.name, counts, c.all(), &c.stderr)
		}
		for k := range troubles {
			tb := &troubles[k]
			for _, call := range slices.Sorted(maps.Keys(counts)) {
				if len(tb.calls) > 0 && !slices.Contains(tb.calls, call) {
					continue
				}
				for n := range counts[call] {
					for _, company := range companies {
						all = append(all, experiment{s, tb, call, n + 1, company})
					}
				}
			}
		}
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// attempts is how many transactions a child of a sweep commits: a small one, a
// big one, a small one.
const attempts = 3

// sweepTimeout is how long the processes of a sweep wait for the lock.
const sweepTimeout = 2 * time.Second

// child starts what a sweep is about.
func (s *scene) child(t testing.TB, path string, in injection) (*child, *tracing) {
	t.Helper()
	calls := sweepCalls
	if s.everywhere {
		calls = everyCalls
	}
	task := commitTask{Path: path, Process: 1, First: 1, Count: attempts, Options: durus.Options{LockTimeout: sweepTimeout}}
	return trace(t, "commit", task, calls, s.paths(path), in)
}

// run reports whether the injection hit.
func (e *experiment) run(t *testing.T) (fired bool) {
	t.Helper()
	a := newAccount()
	path := e.scene.set(t)
	other := newCompany(e.company, path, a)
	c, tr := e.scene.child(t, path, injection{e.call, e.trouble.what, fmt.Sprint(e.nth)})
	c.wait()
	hit := tr.hit()
	fired = hit.injected || c.killed()
	found := []error{other.leave()}
	a.add(1, c.all())                                                // not before: the other one may have been writing to the account
	if hit.name != "write" || strings.Contains(hit.args, `"durus`) { // the runtime cannot go on without its own
		found = append(found, e.told(c, a))
	}
	if strings.Contains(hit.args, "LOCK_UN") {
		// A lock that cannot be given back is kept until the process ends:
		// then all may be refused in time, but nothing may be lost.
		found = slices.DeleteFunc(found, func(err error) bool { return errors.Is(err, durus.ErrLocked) || errors.Is(err, errSeveral) })
	}
	if e.scene.files == nil && a.count("") == 0 && a.count("ok") == 0 { // perhaps there is no database
		found = append(found, openAndClose(path))
	}
	_, err := judge(path, a, leniency{})
	found = append(found, err, unchanged(path, e.scene.durable))
	if err := errors.Join(found...); err != nil {
		t.Errorf("%s:\n%v\nthe child said %q %s", e, err, c.all(), &c.stderr)
	}
	if names := litter(t, path); len(names) > 0 {
		t.Errorf("%s: left behind: %q", e, names)
	}
	return fired
}

// told checks what the child was told of a fault that comes once.
func (e *experiment) told(c *child, a *account) error {
	said := c.all()
	bad := 0
	for n := int64(1); n <= attempts; n++ {
		if a.verdicts[1][n] != "ok" {
			bad++
		}
	}
	switch {
	case strings.HasPrefix(e.trouble.what, "signal"):
		return nil
	case e.scene.everywhere && len(said) == 0:
		return nil // it was the loader's or the runtime's call, and the program did not begin
	case c.err != nil:
		return fmt.Errorf("the child died: %w", c.err)
	case e.trouble.harmless && (bad > 0 || !slices.Contains(said, "closed: well")):
		return errors.New("somebody noticed")
	case bad > 1:
		return fmt.Errorf("%w: %d", errSeveral, bad)
	}
	return nil
}

var errSeveral = errors.New("one fault made several transactions fail")
