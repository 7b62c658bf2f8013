package mem

import "slices"

// Fault is a rule that befalls operations. Hook comes first; of several rules
// the first one that applies counts.
type Fault struct {
	Kinds   []Kind // operations of these kinds; none is all
	Process string // of this process; "" is all
	Name    string // on this file, as the process names it; "" is all
	Nth     int    // from the Nth such operation on, counted from 1; 0 is 1
	Times   int    // for so many of them; 0 is 1, a negative number is for ever
	Action  Action // what happens to them

	seen, hits int // guarded by Disk.mu
}

// Inject adds a rule. The returned function takes it away and tells how often
// it was applied.
func (d *Disk) Inject(f Fault) (remove func() (hits int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rule := &f
	rule.Nth = max(rule.Nth, 1)
	if rule.Times == 0 {
		rule.Times = 1
	}
	d.faults = append(d.faults, rule)
	d.faulty.Store(int32(len(d.faults)))
	return func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.faults = slices.DeleteFunc(d.faults, func(x *Fault) bool { return x == rule })
		d.faulty.Store(int32(len(d.faults)))
		return rule.hits
	}
}

// matchFaults counts op in all rules that it fits, and returns the action of
// the first that is due.
func (d *Disk) matchFaults(op Op) (act Action) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := false
	for _, f := range d.faults {
		if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, op.Kind) ||
			f.Process != "" && f.Process != op.Process ||
			f.Name != "" && clean(f.Name) != clean(op.Name) {
			continue
		}
		f.seen++
		if !found && f.seen >= f.Nth && (f.Times < 0 || f.hits < f.Times) {
			f.hits++
			act, found = f.Action, true
		}
	}
	return act
}
