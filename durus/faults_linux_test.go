package durus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs/fault"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// errInjected is what the calls of the storage fail with.
var errInjected = fmt.Errorf("injected: %w", syscall.EIO)

// canFail are the calls that can fail on a real system. Giving back a lock and
// closing are not among them: the kernel does both, whatever it says.
const canFail = wrap.All &^ (wrap.Props | wrap.Holder | wrap.Unlock | wrap.Close | wrap.LockClose | wrap.Abort)

// task is something that a program does with its database.
type task struct {
	name string
	run  func(p *program) error
}

// program has a database open on files that fail.
type program struct {
	path   string
	disk   *fault.FS
	db     *DB // nil: not open
	refs   [2]Ref[account]
	logger *slog.Logger
}

func (p *program) open() (err error) {
	p.db, err = Open(p.path, &Options{FS: p.disk, Logger: p.logger, LockTimeout: time.Second})
	return err
}

func (p *program) close() error {
	db := p.db
	p.db = nil
	if db == nil {
		return nil
	}
	return db.Close()
}

// move changes two accounts whose sum is 100 by one.
func (p *program) move() error {
	return p.db.Update(context.Background(), func(tx *Tx) error {
		from, err := p.refs[0].Edit(tx)
		if err != nil {
			return err
		}
		to, err := p.refs[1].Edit(tx)
		if err != nil {
			return err
		}
		from.Balance--
		to.Balance++
		return nil
	})
}

// sum reads the two accounts.
func (p *program) sum(db *DB) (sum int64, err error) {
	err = db.View(context.Background(), func(tx *Tx) error {
		sum = 0
		for _, oid := range []OID{p.refs[0].OID(), p.refs[1].OID()} {
			a, err := RefTo[account](oid).Load(tx)
			if err != nil {
				return err
			}
			sum += a.Balance
		}
		return nil
	})
	return sum, err
}

var tasks = []task{
	{"create", func(p *program) error {
		if err := p.close(); err != nil {
			return err
		}
		path := p.path
		p.path += ".new"
		defer func() { p.path = path }()
		err := p.open()
		return errors.Join(err, p.close())
	}},
	{"open", func(p *program) error {
		err := p.close()
		if err == nil {
			err = p.open()
		}
		return err
	}},
	{"view", func(p *program) error {
		sum, err := p.sum(p.db)
		if err == nil && sum != 100 {
			return fmt.Errorf("a View sees a sum of %d", sum)
		}
		return err
	}},
	{"update", (*program).move},
	{"rollback", func(p *program) error {
		tx, err := p.db.Begin(context.Background(), true)
		if err != nil {
			return err
		}
		_, err = p.refs[0].Edit(tx)
		return errors.Join(err, tx.Rollback())
	}},
	{"add", func(p *program) error {
		return p.db.Update(context.Background(), func(tx *Tx) error {
			a, err := p.refs[0].Edit(tx)
			if err != nil {
				return err
			}
			a.Parent, err = Add(tx, &account{Owner: "new"})
			return err
		})
	}},
	{"prefetch", func(p *program) error {
		return p.db.View(context.Background(), func(tx *Tx) error {
			return tx.Prefetch(p.refs[0].Any(), p.refs[1].Any())
		})
	}},
	{"live connection", func(p *program) error {
		c, err := p.db.Connect(context.Background())
		if err != nil {
			return err
		}
		a, err := p.refs[0].Edit(c)
		if err == nil {
			a.Tags = append(a.Tags, "live")
			err = c.Commit()
		}
		return errors.Join(err, c.Abort(), c.Close())
	}},
	{"sync, last transaction, committed", func(p *program) error {
		err := p.db.Sync(context.Background())
		last, lastErr := p.db.LastTID()
		_, knownErr := p.db.Committed(last)
		return errors.Join(err, lastErr, knownErr)
	}},
	{"close", (*program).close},
}

// TestEveryCallFails lets the n-th call of the storage fail, for n = 1, 2, 3
// ... until none does: once or from then on, instead of happening or after it
// has. Whatever a program was doing is answered with an error that Is the
// injected one, or is unharmed; nothing is left open or running, no lock is
// left, and the database is usable afterwards by this handle and by others, with
// all or nothing of what was done. A2 A7 D10 D14 F5 F7 F33 S18 S60
func TestEveryCallFails(t *testing.T) {
	dir := t.TempDir()
	template := filepath.Join(dir, "template.durus")
	db, err := Open(template, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := openAccounts(t, db, 60, 40)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(template)
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 3
	}
	bad := &weather{image: image, refs: [2]Ref[account]{RefTo[account](a.OID()), RefTo[account](b.OID())}, step: step}
	if tried := bad.try(t, tasks); tried < 200/step {
		t.Errorf("%d faults did not reach what they should", tried)
	}
}

// weather is what tasks are tried in: each call of the storage that fails.
type weather struct {
	image []byte // of the database that they begin with
	refs  [2]Ref[account]
	step  int                             // of so many calls one fails, chosen by chance
	whole func(t *testing.T, path string) // looks at what each of them has left; may be nil
}

// try lets the n-th call of the storage fail in each task, until none does, and
// returns how often one did. Nothing may be left open or running.
func (w *weather) try(t *testing.T, tasks []task) (tried int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.durus")
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for _, task := range tasks {
		for _, times := range []int{1, -1} {
			for _, after := range []bool{false, true} {
				for n := 1 + rand.IntN(w.step); ; n += w.step {
					p := &program{path: path, disk: fault.New(posix.New(), 1), refs: w.refs, logger: slog.New(slog.DiscardHandler)}
					if err := os.WriteFile(path, w.image, 0o600); err != nil {
						t.Fatal(err)
					}
					rule := fault.Rule{Ops: canFail, Nth: n, Times: times, After: after, Effect: fault.Fail(errInjected)}
					hits, err := p.suffer(task, rule)
					if err != nil {
						t.Fatalf("%s, %v: %v", task.name, rule, err)
					}
					if w.whole != nil {
						w.whole(t, path)
					}
					if t.Failed() {
						t.Fatalf("%s, %v", task.name, rule)
					}
					for _, name := range []string{path, path + ".lock", path + ".index"} {
						_ = os.Remove(name) // the next one begins anew
					}
					if now := openFiles(t); now > files {
						t.Fatalf("%s, %v: %d files are open, before it were %d", task.name, rule, now, files)
					}
					if hits == 0 {
						break
					}
					tried++
				}
			}
		}
	}
	for i := 0; runtime.NumGoroutine() > goroutines; i++ {
		if i == 500 {
			buf := make([]byte, 1<<20)
			t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d faults", tried)
	return tried
}

// suffer runs a task while the rule holds, and then sees what is left.
func (p *program) suffer(task task, rule fault.Rule) (hits int, err error) {
	if err := p.open(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.move(); err != nil { // a lease and a warm handle
		return 0, err
	}
	remove := p.disk.Add(rule)
	taskErr := task.run(p)
	hits = remove()
	switch {
	case taskErr == nil:
	case hits == 0:
		return hits, fmt.Errorf("without a fault: %w", taskErr)
	case errors.Is(taskErr, ErrCorrupt), errors.Is(taskErr, ErrNotDurus), errors.Is(taskErr, ErrNotFound), errors.Is(taskErr, fs.ErrNotExist):
		return hits, fmt.Errorf("mistaken for damage: %w", taskErr)
	case !errors.Is(taskErr, syscall.EIO):
		return hits, fmt.Errorf("not the error that was injected: %w", taskErr)
	}
	if p.db == nil {
		if err := p.open(); err != nil {
			return hits, fmt.Errorf("open afterwards: %w", err)
		}
	}
	// Others first: no lock is left, nothing is there in part.
	other, err := Open(p.path, &Options{Logger: p.logger, LockTimeout: time.Second})
	if err != nil {
		return hits, fmt.Errorf("another handle: %w", err)
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	for _, q := range []*program{{path: p.path, db: other, refs: p.refs}, p} {
		for try := 1; ; try++ {
			err := q.move()
			if err == nil {
				break
			}
			if try == 2 { // the first one may tell that the file was rewound
				return hits, fmt.Errorf("a commit afterwards: %w", err)
			}
		}
		if sum, err := q.sum(q.db); err != nil || sum != 100 {
			return hits, fmt.Errorf("afterwards the sum is %d, %w", sum, err)
		}
	}
	return hits, nil
}

// openFiles counts the open files of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
