package mem

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// worker appends n times under the lock, syncs, and counts in the mark.
func worker(t *testing.T, n int) func(*Process) {
	return func(p *Process) {
		f := p.Open("/db", vfs.Append)
		l := p.Locker("/db.lock", f, vfs.Append, 0o600)
		for range n {
			check(t, l.Lock(background))
			add(t, f, p.Name())
			check(t, l.Unlock())
			check(t, f.Sync())
			check(t, l.UpdateMark(background, func(p *[vfs.MarkSize]byte, ok bool) bool { p[0]++; return true }))
		}
	}
}

func trace(t *testing.T, seed uint64) (ops []string, result string) {
	d := NewDisk()
	check(t, d.WriteFile("/db", nil))
	d.Hook = func(op Op) Action {
		ops = append(ops, op.String())
		return Proceed()
	}
	check(t, d.Run(Seeded(seed), worker(t, 3), worker(t, 3), worker(t, 3)))
	b, err := d.Persisted("/db")
	check(t, err)
	return ops, string(b)
}

// One seed is one interleaving; other seeds are others.
func TestRunIsDeterministic(t *testing.T) {
	results := map[string]bool{}
	for seed := range uint64(20) {
		a, x := trace(t, seed)
		b, y := trace(t, seed)
		if !slices.Equal(a, b) || x != y {
			t.Fatalf("seed %d gives\n%q\nand\n%q", seed, a, b)
		}
		if len(x) != 9 || strings.Count(x, "A") != 3 || strings.Count(x, "B") != 3 {
			t.Errorf("seed %d gives %q", seed, x)
		}
		results[x] = true
	}
	if len(results) < 10 {
		t.Errorf("20 seeds give only %d orders", len(results))
	}
}

func TestScript(t *testing.T) {
	var order strings.Builder
	body := func(p *Process) {
		for range 2 {
			order.WriteString(p.Name())
			check(t, p.Yield())
		}
	}
	check(t, NewDisk().Run(Script("B", "A", "B", "nobody", "B"), body, body))
	if order.String() != "BABA" {
		t.Errorf("order %s", &order)
	}
}

// F10: a process is killed at each of its operations in turn. It ends there,
// what it does afterwards has no effect, and the other one gets the lock.
func TestKillAtEveryOperation(t *testing.T) {
	for n := 1; ; n++ {
		d := NewDisk()
		check(t, d.WriteFile("/db", nil))
		count, killed := 0, false
		d.Hook = func(op Op) Action {
			if op.Process != "A" {
				return Proceed()
			}
			if killed {
				t.Errorf("%v by a dead process", op)
			}
			if count++; count == n {
				killed = true
				return Kill()
			}
			return Proceed()
		}
		deferred := false
		err := d.Run(Seeded(uint64(n)), func(p *Process) {
			defer func() {
				deferred = true
				if killed {
					if err := p.Remove("/db"); !errors.Is(err, ErrKilled) {
						t.Errorf("a dead process removed a file: %v", err)
					}
				}
			}()
			defer func() { recover() }()
			worker(t, 2)(p)
		}, worker(t, 2))
		check(t, err)
		if !deferred {
			t.Errorf("kill %d: deferred calls did not run", n)
		}
		b, err := d.ReadFile("/db")
		check(t, err)
		if strings.Count(string(b), "B") != 2 {
			t.Errorf("kill %d: the other process wrote %q", n, b)
		}
		if !killed {
			if count < 10 {
				t.Errorf("only %d operations", count)
			}
			return
		}
	}
}

// F1: a kill tears an append at any byte.
func TestKillTearsAppend(t *testing.T) {
	for n := range 6 {
		d := NewDisk()
		check(t, d.WriteFile("/db", []byte("+")))
		d.Inject(Fault{Kinds: []Kind{OpAppend}, Action: KillAfter(n)})
		after := false
		var again *Process
		check(t, d.Run(Script(), func(p *Process) {
			add(t, p.Open("/db", vfs.Append), "12345")
			after = true
		}, func(p *Process) {
			again = p.Spawn("A", func(p *Process) { add(t, p.Open("/db", vfs.Append), "!") })
		}))
		if after {
			t.Error("the process went on")
		}
		if !again.Killed() {
			t.Error("a process outlives Run")
		}
		cached(t, d, "/db", "+12345"[:n+1]+"!")
	}
}

// F31: a stopped process keeps its lock. Others wait as long as they want to,
// and after SIGCONT it still has it.
func TestStop(t *testing.T) {
	d := NewDisk()
	check(t, d.WriteFile("/db", nil))
	d.Inject(Fault{Kinds: []Kind{OpAppend}, Process: "A", Action: Stop()})
	held := false
	check(t, d.Run(Script("A"), func(p *Process) {
		f := p.Open("/db", vfs.Append)
		l := p.Locker("/db.lock", f, vfs.Append, 0o600)
		check(t, l.Lock(background))
		held = true
		add(t, f, "A")
		held = false
		check(t, l.Unlock())
	}, func(p *Process) {
		f := p.Open("/db", vfs.Append)
		l := p.Locker("/db.lock", f, vfs.Append, 0o600)
		ctx, cancel := context.WithTimeout(background, time.Hour)
		defer cancel()
		for !held {
			check(t, p.Yield())
		}
		start := time.Now()
		if err := l.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the lock of a stopped process: %v", err)
		}
		if time.Since(start) > time.Minute {
			t.Error("simulated time passes as slowly as real time")
		}
		if l.Holder() == 0 {
			t.Error("no holder")
		}
		check(t, l.Lock(background)) // now only A can go on
		if held {
			t.Error("two have the lock")
		}
		add(t, f, "B")
		check(t, l.Unlock())
	}))
	cached(t, d, "/db", "AB")
}

// A deadline that lies behind in real time is none as long as anybody can run.
func TestDeadlineIsSimulated(t *testing.T) {
	d := NewDisk()
	ctx, cancel := context.WithDeadline(background, time.Now().Add(-time.Second))
	defer cancel()
	locked := false
	check(t, d.Run(Seeded(1), func(p *Process) {
		l := p.Locker("/l", nil, vfs.Append, 0o600)
		check(t, l.Lock(background))
		locked = true
		for range 50 {
			check(t, p.Yield())
		}
		locked = false
		check(t, l.Unlock())
	}, func(p *Process) {
		for !locked {
			check(t, p.Yield())
		}
		check(t, p.Locker("/l", nil, vfs.Append, 0o600).Lock(ctx))
		if locked {
			t.Error("two have the lock")
		}
	}))
}

func TestCancelUnderRun(t *testing.T) {
	d := NewDisk()
	ctx, cancel := context.WithCancel(background)
	locked := false
	check(t, d.Run(Seeded(1), func(p *Process) {
		check(t, p.Locker("/l", nil, vfs.Append, 0o600).Lock(background))
		locked = true
		for range 10 {
			check(t, p.Yield())
		}
		cancel()
		for range 100 {
			check(t, p.Yield())
		}
	}, func(p *Process) {
		for !locked {
			check(t, p.Yield())
		}
		if err := p.Locker("/l", nil, vfs.Append, 0o600).Lock(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}))
}

// Processes that wait for each other are told so, and end.
func TestDeadlock(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	d := NewDisk()
	ended, locked := 0, 0
	body := func(first, second string) func(*Process) {
		return func(p *Process) {
			defer func() { ended++ }()
			check(t, p.Locker(first, nil, vfs.Append, 0o600).Lock(background))
			locked++
			for locked < 2 {
				check(t, p.Yield())
			}
			err := p.Locker(second, nil, vfs.Append, 0o600).Lock(background)
			t.Errorf("locked: %v", err)
		}
	}
	err := d.Run(Seeded(3), body("/x", "/y"), body("/y", "/x"))
	if !errors.Is(err, ErrDeadlock) || !strings.Contains(err.Error(), "A is at lock /y; B is at lock /x") {
		t.Errorf("got %v", err)
	}
	if ended != 2 {
		t.Errorf("%d bodies ended", ended)
	}
	for range 1000 {
		if runtime.NumGoroutine() <= goroutines {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines more", n-goroutines)
	}
}

// A process that locks twice waits for itself.
func TestDeadlockWithItself(t *testing.T) {
	err := NewDisk().Run(Script(), func(p *Process) {
		l := p.Locker("/l", nil, vfs.Append, 0o600)
		check(t, l.Lock(background))
		t.Errorf("locked twice: %v", l.Lock(background))
	})
	if !errors.Is(err, ErrDeadlock) {
		t.Errorf("got %v", err)
	}
}

func TestStepLimit(t *testing.T) {
	d := NewDisk()
	d.StepLimit = 100
	err := d.Run(Script(), func(p *Process) {
		for {
			check(t, p.Yield())
		}
	}, func(*Process) {})
	if !errors.Is(err, ErrStepLimit) {
		t.Errorf("got %v", err)
	}
}

func TestPanicOfBody(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "process B: ouch") {
			t.Errorf("recovered %v", v)
		}
	}()
	err := NewDisk().Run(Seeded(1), func(p *Process) {
		for p.Yield() == nil {
		}
	}, func(p *Process) { panic("ouch") })
	t.Errorf("Run returned %v", err)
}

// Images may be taken in the hook, at every operation.
func TestImagesInHook(t *testing.T) {
	d := NewDisk()
	check(t, d.WriteFile("/db", nil))
	seen := map[uint64]struct{}{}
	var got []string
	synced := 0
	d.Hook = func(op Op) Action {
		for im := range d.Images(Options{EveryByte: true, Seen: seen}) {
			b, err := im.ReadFile("/db")
			check(t, err)
			got = append(got, string(b))
		}
		if op.Kind == OpSyncEnd {
			synced++
		}
		return Proceed()
	}
	check(t, d.Run(Seeded(5), worker(t, 2), worker(t, 2)))
	if synced != 4 || !slices.Contains(got, "") || len(got) < 10 {
		t.Errorf("%d syncs, images %q", synced, got)
	}
}
