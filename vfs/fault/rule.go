package fault

import (
	"fmt"
	"math/rand/v2"
	"path"
	"path/filepath"
	"strings"

	"github.com/durusdb/durus/vfs/wrap"
)

// Rule says which calls something befalls, and what. The zero Rule lets the
// first operation fail with EIO.
type Rule struct {
	// Ops is a set of operations; 0 is all that the effect is for.
	Ops wrap.Op

	// Path is a pattern of path.Match for the name of the file, or for its last
	// element if the pattern has no slash; "" is all.
	Path string

	// Nth is the first of the calls that are befallen, counted from 1; 0 is 1.
	Nth int

	// Times is how many are befallen; 0 is one, or without end if there is a
	// Chance; a negative number is without end.
	Times int

	// Chance is the probability with which each of them is; 0 is 1.
	Chance float64

	// After lets the operation be carried out first. It is for Fail, Delay, Hang
	// and LoseLocks.
	After bool

	Effect Effect
}

// String tells the rule in one line.
func (r Rule) String() string {
	var b strings.Builder
	if r.Ops == 0 {
		b.WriteString(wrap.All.String())
	} else {
		b.WriteString(r.Ops.String())
	}
	if r.Path != "" {
		fmt.Fprintf(&b, " on %s", r.Path)
	}
	first, times := max(r.Nth, 1), r.times()
	switch {
	case times == 1 && r.Chance == 0:
		fmt.Fprintf(&b, ", call %d", first)
	case times > 1 && r.Chance == 0:
		fmt.Fprintf(&b, ", calls %d to %d", first, first+times-1)
	case first > 1:
		fmt.Fprintf(&b, ", every call from %d on", first)
	default:
		b.WriteString(", every call")
	}
	if r.Chance != 0 {
		fmt.Fprintf(&b, " with probability %g", r.Chance)
		if times > 0 {
			fmt.Fprintf(&b, ", at most %d", times)
		}
	}
	if r.After {
		b.WriteString(", after it")
	}
	b.WriteString(": " + r.Effect.String())
	return b.String()
}

func (r Rule) times() int {
	switch {
	case r.Times < 0 || r.Times == 0 && r.Chance != 0:
		return -1
	}
	return max(r.Times, 1)
}

// check panics if the rule can never be what its author meant.
func (r Rule) check() {
	_, err := path.Match(r.Path, "")
	possible := effects[r.Effect.kind]
	switch {
	case err != nil:
		panic(fmt.Sprintf("fault: %v: %v", r, err))
	case r.Chance < 0 || r.Chance > 1:
		panic(fmt.Sprintf("fault: %v: not a probability", r))
	case r.Ops != 0 && !r.Ops.Has(possible.ops):
		panic(fmt.Sprintf("fault: %v: this is for %v", r, possible.ops))
	case r.After && !possible.after:
		panic(fmt.Sprintf("fault: %v: not possible after the operation", r))
	}
}

// rule is a Rule at work.
type rule struct {
	Rule
	ops wrap.Op // those that it befalls

	// Guarded by FS.mu.
	rnd     *rand.Rand
	seen    int // calls that it fits
	hits    int
	removed bool
	let     chan struct{} // closed to let go what hangs
}

// fits reports whether the rule is about a call at all.
func (r *rule) fits(c *wrap.Call) bool {
	if !r.ops.Has(c.Op) {
		return false
	}
	if r.Path == "" {
		return true
	}
	name := filepath.ToSlash(c.Name)
	if !strings.Contains(r.Path, "/") {
		name = path.Base(name)
	}
	ok, _ := path.Match(r.Path, name) // the pattern was checked
	return ok
}

// count counts a call that the rule fits and reports whether it is befallen.
// FS.mu is held.
func (r *rule) count() (due bool) {
	r.seen++
	if r.removed {
		return false
	}
	if times := r.times(); r.seen < max(r.Nth, 1) || times >= 0 && r.hits >= times {
		return false
	}
	if r.Chance != 0 && r.rnd.Float64() >= r.Chance {
		return false
	}
	r.hits++
	return true
}
