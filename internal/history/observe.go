package history

import (
	"fmt"
	"slices"
)

// access is what one committed transaction did to one key, seen from outside:
// the state from before it that it read, and the last value that it wrote.
type access struct {
	key   int64
	read  bool
	state []int64 // that it read; valid if read
	wrote bool
	last  int64 // value that it left; valid if wrote

	known bool    // base is known: the next read must be base and own
	base  []int64 // state from which own appends count
	own   []int64 // appended since base
}

// walker takes transactions apart, one at a time.
type walker struct {
	all   []access
	byKey map[int64]int
}

func (w *walker) at(key int64) *access {
	if w.byKey != nil {
		if i, ok := w.byKey[key]; ok {
			return &w.all[i]
		}
	} else {
		for i := range w.all {
			if w.all[i].key == key {
				return &w.all[i]
			}
		}
	}
	if len(w.all) < cap(w.all) {
		w.all = w.all[:len(w.all)+1]
		own := w.all[len(w.all)-1].own[:0] // keep its memory
		w.all[len(w.all)-1] = access{key: key, own: own}
	} else {
		w.all = append(w.all, access{key: key})
	}
	n := len(w.all)
	switch {
	case w.byKey != nil:
		w.byKey[key] = n - 1
	case n > fewKeys:
		w.byKey = make(map[int64]int, 4*n)
		for i := range w.all {
			w.byKey[w.all[i].key] = i
		}
	}
	return &w.all[n-1]
}

// walk returns what a transaction did, key by key, valid until the next call,
// and the first operation that read something which cannot be after the
// operations before it (-1: none). A transaction without values (its outcome
// is not known) has writes only.
func (w *walker) walk(t *Txn) (accesses []access, wrong int) {
	w.all, w.byKey, wrong = w.all[:0], nil, -1
	vals := t.Vals
	if t.Outcome != OK {
		vals = nil
	}
	for i, op := range t.Ops {
		a := w.at(op.Key)
		if op.Reads() && vals != nil {
			if !a.observe(vals[0]) && wrong < 0 {
				wrong = i
			}
			vals = vals[1:]
		}
		if !op.Writes() {
			continue
		}
		a.wrote, a.last = true, op.Value
		switch {
		case op.Kind == Append:
			a.own = append(a.own, op.Value)
		case op.Kind == Increment && !a.known:
			a.own = append(a.own[:0], op.Value) // the number before it is not known
		default:
			a.base, a.known, a.own = op.Apply(a.base), true, a.own[:0]
		}
	}
	return w.all, wrong
}

// observe takes a read into account. It reports whether it can be.
func (a *access) observe(state []int64) bool {
	split := len(state) - len(a.own)
	if split < 0 || !slices.Equal(state[split:], a.own) {
		return false
	}
	if a.known {
		return slices.Equal(state[:split], a.base)
	}
	a.base, a.known = state[:split], true
	a.read, a.state = true, a.base
	return true
}

// writer is who wrote a value.
type writer struct {
	txn   int
	key   int64
	final bool // no later operation of the transaction wrote the key
	seen  bool // the longest read of the list, or a read of the register, shows it

	// Of registers alone:
	left []int64 // state after the write; nil if it is not known
	next int     // transaction that read the state and wrote the next one, + 1; 0 for none
	more []int   // some of the others that did, too
}

// observations is what a history shows, before anybody draws conclusions.
type observations struct {
	*Report
	txns    []Txn
	initial map[int64][]int64
	writers map[int64]*writer // by value
	lists   map[int64]*list
	walker  walker
}

// list is what is known of the order of writes to a key that is only appended
// to: the longest read tells it, all others must be the beginning of it.
type list struct {
	longest  []int64
	reader   int   // who read it, -1 for the initial state
	txns     []int // writer of each value, -1 if there is none in the history
	start    int   // values that were there before
	lastCall int64 // of all who read the key
	unseen   []int // transactions with committed appends that no read shows, ascending
	end      int   // node in front of them, if there are any
}

func observe(txns []Txn, opts Options, r *Report) *observations {
	o := &observations{Report: r, txns: txns, initial: opts.Initial, lists: make(map[int64]*list)}
	o.findWriters()
	o.findOrders()
	for key, l := range o.lists {
		o.checkList(key, l)
	}
	o.findUnseen()
	return o
}

// findWriters maps values to their writers, and sees which keys are lists.
func (o *observations) findWriters() {
	writes := 0
	for i := range o.txns {
		for _, op := range o.txns[i].Ops {
			if op.Writes() {
				writes++
			}
		}
	}
	slab := make([]writer, 0, writes) // one allocation: there are millions
	o.writers = make(map[int64]*writer, writes)
	for i := range o.txns {
		ops := o.txns[i].Ops
		for j, op := range ops {
			if !op.Writes() {
				continue
			}
			if w, twice := o.writers[op.Value]; twice {
				o.add(Anomaly{Name: Malformed, Key: op.Key, Txns: []ID{o.txns[w.txn].ID, o.txns[i].ID},
					Detail: fmt.Sprintf("both write the value %d", op.Value)})
				continue
			}
			final := true
			for _, later := range ops[j+1:] {
				final = final && !(later.Writes() && later.Key == op.Key)
			}
			slab = append(slab, writer{txn: i, key: op.Key, final: final})
			o.writers[op.Value] = &slab[len(slab)-1]
			l, seen := o.lists[op.Key]
			switch {
			case !seen && op.Kind == Append:
				initial := o.initial[op.Key]
				o.lists[op.Key] = &list{longest: initial, reader: -1, start: len(initial)}
			case !seen:
				o.lists[op.Key] = nil // a register
			case (l != nil) != (op.Kind == Append):
				o.add(Anomaly{Name: Malformed, Key: op.Key, Txns: []ID{o.txns[i].ID}, Detail: "appends and other writes to one key"})
			}
		}
	}
	for key, l := range o.lists {
		if l == nil {
			delete(o.lists, key)
		}
	}
}

// findOrders finds the longest read of each list, and checks transactions
// against themselves.
func (o *observations) findOrders() {
	for i := range o.txns {
		t := &o.txns[i]
		if t.Outcome != OK {
			continue
		}
		accesses, wrong := o.walker.walk(t)
		if wrong >= 0 {
			o.add(Anomaly{Name: Internal, Key: t.Ops[wrong].Key, Txns: []ID{t.ID},
				Detail: fmt.Sprintf("%s read %s, which contradicts the operations before it", t.Ops[wrong], brief(t.value(wrong)))})
		}
		for k := range accesses {
			a := &accesses[k]
			l := o.lists[a.key]
			if !a.read {
				continue
			}
			if l == nil {
				if w := o.writers[lastOf(a.state)]; w != nil && w.key == a.key {
					w.seen = true
				}
				continue
			}
			l.lastCall = max(l.lastCall, t.Call)
			if len(a.state) > len(l.longest) {
				l.longest, l.reader = a.state, i
			}
		}
	}
}

// checkList checks the longest read of a key value by value.
func (o *observations) checkList(key int64, l *list) {
	l.txns = make([]int, len(l.longest))
	for i := range l.txns {
		l.txns[i] = -1
	}
	if l.reader >= 0 {
		o.checkValues(key, l.longest, l.reader)
	}
	for i, v := range l.longest {
		if w := o.writers[v]; w != nil && w.key == key && i >= l.start {
			w.seen = true
			if o.committed(w.txn) {
				l.txns[i] = w.txn
			}
		}
	}
}

// checkValues checks one read of a list: each value was written to this key,
// once, by somebody who was not refused. It reports whether all is well.
func (o *observations) checkValues(key int64, state []int64, reader int) bool {
	initial := o.initial[key]
	fine := true
	seen := make(map[int64]bool, len(state))
	for i, v := range state {
		switch {
		case seen[v]:
			fine = false
			o.add(Anomaly{Name: Duplicate, Key: key, Txns: []ID{o.txns[reader].ID}, Detail: fmt.Sprintf("value %d is there twice", v)})
		case i < len(initial) && v == initial[i]:
		default:
			fine = o.checkValue(key, v, reader) && fine
		}
		seen[v] = true
	}
	return fine
}

// checkValue checks one value that somebody read.
func (o *observations) checkValue(key, v int64, reader int) bool {
	w, ok := o.writers[v]
	id := o.txns[reader].ID
	switch {
	case !ok || w.key != key:
		o.add(Anomaly{Name: Garbage, Key: key, Txns: []ID{id}, Detail: fmt.Sprintf("value %d was never written to it", v)})
	case o.txns[w.txn].Outcome == Conflict || o.txns[w.txn].Outcome == Fail:
		o.add(Anomaly{Name: G1a, Class: string(G1a), Key: key, Txns: []ID{id, o.txns[w.txn].ID},
			Detail: fmt.Sprintf("value %d is of a transaction that was told %q", v, o.txns[w.txn].Outcome)})
	default:
		return true
	}
	return false
}

// committed reports whether a writer whose value was seen may be taken for
// committed.
func (o *observations) committed(txn int) bool {
	return o.txns[txn].Outcome == OK || o.txns[txn].Outcome == Info
}

// findUnseen finds committed appends that no read shows. They are newer than
// every read, so a read that began after they were acknowledged has lost them.
// A transaction whose outcome was not known is committed if anything of it was
// seen.
func (o *observations) findUnseen() {
	for i := range o.txns {
		t := &o.txns[i]
		if t.Outcome != OK && !(t.Outcome == Info && o.shown(t)) {
			continue
		}
		for _, op := range t.Ops {
			l := o.lists[op.Key]
			if op.Kind != Append || l == nil || o.writers[op.Value].seen {
				continue
			}
			if n := len(l.unseen); n == 0 || l.unseen[n-1] != i {
				l.unseen = append(l.unseen, i)
			}
			if t.Outcome == OK && l.lastCall > t.Ret {
				o.add(Anomaly{Name: LostWrite, Key: op.Key, Txns: []ID{t.ID},
					Detail: fmt.Sprintf("value %d was acknowledged, and later reads do not show it", op.Value)})
			}
		}
	}
}

// shown reports whether anybody saw a write of a transaction.
func (o *observations) shown(t *Txn) bool {
	for _, op := range t.Ops {
		if w := o.writers[op.Value]; op.Writes() && w.seen {
			return true
		}
	}
	return false
}
