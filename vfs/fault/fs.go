package fault

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

// FS is a storage with rules. It is safe for use by many goroutines.
type FS struct {
	*wrap.FS
	seed uint64

	// rules is written under mu, and the slice never changes. A call that reads
	// it stale has begun before the rule was added, or finds it removed.
	rules atomic.Pointer[[]*rule]

	// mu guards what follows and the state of the rules. Nothing of the storage
	// below is called under it.
	mu      sync.Mutex
	added   uint64 // rules, removed ones included
	hanging int
	held    map[vfs.Locker]lock
	sizes   map[any]size
}

// New returns lower with rules. The seed determines what they leave to chance.
// It panics as Add does.
func New(lower vfs.FS, seed uint64, rules ...Rule) *FS {
	f := &FS{seed: seed, held: map[vfs.Locker]lock{}, sizes: map[any]size{}}
	f.FS = wrap.New(lower, f.do)
	f.rules.Store(new([]*rule))
	for _, r := range rules {
		f.Add(r)
	}
	return f
}

// Seed is the seed given to New: print it where a test fails.
func (f *FS) Seed() uint64 { return f.seed }

// Add adds a rule behind the others. The returned function removes it, lets go
// what hangs by it, and tells how many calls it has befallen. Add panics if the
// rule makes no sense: a malformed pattern, an effect that none of the
// operations can have.
func (f *FS) Add(r Rule) (remove func() (hits int)) {
	r.check()
	ops := effects[r.Effect.kind].ops
	if r.Ops != 0 {
		ops &= r.Ops
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added++
	x := &rule{Rule: r, ops: ops, rnd: rand.New(rand.NewPCG(f.seed, f.added)), let: make(chan struct{})}
	rules := append(slices.Clone(*f.rules.Load()), x)
	f.rules.Store(&rules)
	return func() int { return f.remove(x) }
}

func (f *FS) remove(x *rule) (hits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !x.removed {
		x.removed = true
		close(x.let)
		rules := slices.DeleteFunc(slices.Clone(*f.rules.Load()), func(r *rule) bool { return r == x })
		f.rules.Store(&rules)
	}
	return x.hits
}

// Release lets go all calls that hang now.
func (f *FS) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range *f.rules.Load() {
		close(r.let)
		r.let = make(chan struct{})
	}
}

// Hanging is how many calls hang now.
func (f *FS) Hanging() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hanging
}

// String tells the seed and the rules with their hits.
func (f *FS) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d", f.seed)
	for _, r := range *f.rules.Load() {
		fmt.Fprintf(&b, "\n%v (%d hits)", r.Rule, r.hits)
	}
	return b.String()
}

// do is what the FS does with a call.
func (f *FS) do(c *wrap.Call) {
	rules := *f.rules.Load()
	f.run(c, rules)
	if c.Op == wrap.Props && slices.ContainsFunc(rules, func(r *rule) bool { return r.Effect.kind == kindStale }) {
		c.Props.StableSize = false
	}
}

// run takes a call through the rules to the storage.
func (f *FS) run(c *wrap.Call, rules []*rule) {
	for i, r := range rules {
		if !r.fits(c) {
			continue
		}
		again := false
		next := func() {
			f.run(c, rules[i+1:])
			again = c.Again()
		}
		due := f.count(r)
		if due {
			f.befall(r, c, next)
		} else {
			next()
		}
		if again {
			f.discount(r, due)
		}
		return
	}
	f.next(c)
}

func (f *FS) count(r *rule) (due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.count()
}

// discount undoes count: the call will come again.
func (f *FS) discount(r *rule, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.seen--
	if due {
		r.hits--
	}
}

// befall gives a call what the rule has for it. next takes it further.
func (f *FS) befall(r *rule, c *wrap.Call, next func()) {
	switch e := r.Effect; e.kind {
	case kindShort:
		f.short(c, e, next)
	case kindTorn:
		f.torn(c, r, next)
	case kindPretend:
		f.pretend(c, next)
	case kindFlip:
		f.flip(c, r, next)
	case kindStale:
		f.stale(c, e.d, next)
	default:
		f.around(r, c, next)
	}
}

// around is an effect that comes before or after the operation. With an error
// before it there is no operation; an error after it is the answer.
func (f *FS) around(r *rule, c *wrap.Call, next func()) {
	if r.After {
		if next(); c.Err != nil && !errors.Is(c.Err, io.EOF) { // it has not been done, or not all of it
			return
		}
	}
	var err error
	switch r.Effect.kind {
	case kindFail:
		if err = r.Effect.cause(); !errors.Is(err, io.EOF) { // which callers compare with
			err = c.Failure("fault", err)
		}
	case kindDelay:
		err = c.Sleep(r.Effect.d)
	case kindHang:
		err = f.hang(c, r)
	case kindLose:
		f.loseLocks()
	}
	switch {
	case err != nil:
		f.refuse(c, err)
	case !r.After:
		next()
	}
}

// pretend reports success.
func (f *FS) pretend(c *wrap.Call, next func()) {
	switch c.Op {
	case wrap.UpdateMark: // the caller may learn something in his update
		update := c.Update
		c.Update = func(p *[vfs.MarkSize]byte, ok bool) bool { update(p, ok); return false }
		next()
		c.Update = update
		return
	case wrap.TryLock, wrap.Lock:
		c.OK = true
		f.setLock(c, lockFake)
	}
	c.Err, c.N = nil, len(c.Data)
}

// hang waits to be let go.
func (f *FS) hang(c *wrap.Call, r *rule) error {
	f.mu.Lock()
	let := r.let
	f.hanging++
	f.mu.Unlock()
	err := c.Wait(let)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hanging--
	return err
}

// random returns a number below n by the rule's own chance.
func (f *FS) random(r *rule, n int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.rnd.Int64N(n)
}

// next carries a call out, and follows what it changes.
func (f *FS) next(c *wrap.Call) {
	switch c.Op {
	case wrap.TryLock, wrap.Lock, wrap.Unlock, wrap.LockClose:
		f.nextLock(c)
	case wrap.Append, wrap.Rewrite, wrap.Truncate, wrap.Close, wrap.Commit, wrap.Remove:
		c.Next()
		f.trackSize(c)
	default:
		c.Next()
	}
}
