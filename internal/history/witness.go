package history

import (
	"cmp"
	"fmt"
	"slices"
)

// Commit is one transaction of the final log, in the order of the log: the
// state of each key that it wrote. Its writer is not named; finding him is the
// checker's work.
type Commit struct {
	TID    uint64
	Writes []KeyState
}

// KeyState is the state of a key.
type KeyState struct {
	Key   int64
	State []int64
}

// Witness checks a history against the log. Every acknowledged write is in the
// log once and whole; every transaction saw the state of its snapshot; nothing
// that an update read had changed when it committed; snapshots hold what had
// returned before; refused transactions are not in the log; and every part of
// the log belongs to a transaction. Its time is linear in the history, but for
// sorting.
func Witness(txns []Txn, log []Commit, opts Options) *Report {
	w := &witness{
		Report:   &Report{Checker: "witness"},
		txns:     txns,
		log:      log,
		position: make(map[uint64]int, len(log)),
		versions: make(map[int64]*[]version),
		owner:    make([]int, len(log)),
		place:    make([]int, len(txns)),
		snap:     make([]int, len(txns)),
	}
	w.count(txns, opts.Require)
	w.index(opts)
	for i := range txns {
		w.place[i], w.snap[i] = -1, -1
		if txns[i].Outcome == OK {
			w.checkCommitted(i)
		}
	}
	w.assignRest(opts.Setup)
	w.checkRealTime(opts.RelaxReaders)
	return w.Report
}

type witness struct {
	*Report
	txns     []Txn
	log      []Commit
	position map[uint64]int       // of a transaction in the log, from 1 up; 0 is before the log
	versions map[int64]*[]version // of a key, in the order of the log
	owner    []int                // of a place in the log: index of the transaction + 1
	place    []int                // of a transaction in the log, -1 if it has none
	snap     []int                // of a transaction: place of its snapshot, -1 if not known
	touched  []touch              // scratch of replay
	writers  map[int64]int        // value -> transaction, made by writerOf when first asked
}

type version struct {
	place int
	state []int64
}

// index builds the states of keys and looks at the log itself.
func (w *witness) index(opts Options) {
	for key, state := range opts.Initial {
		w.push(key, version{0, state})
	}
	w.position[0] = 0
	var last uint64
	for i, c := range w.log {
		if _, twice := w.position[c.TID]; twice {
			w.add(Anomaly{Name: Duplicate, Detail: fmt.Sprintf("transaction id %d is in the log twice", c.TID)})
		} else if c.TID < last {
			w.add(Anomaly{Name: Incompatible, Detail: fmt.Sprintf("the log has transaction %d after %d", c.TID, last)})
		}
		last = max(last, c.TID)
		w.position[c.TID] = i + 1
		for _, s := range c.Writes {
			w.push(s.Key, version{i + 1, s.State})
		}
	}
}

func (w *witness) push(key int64, v version) {
	all := w.versions[key]
	if all == nil {
		all = new([]version)
		w.versions[key] = all
	}
	*all = append(*all, v)
}

// at returns the state of a key at a place of the log, and its number among
// the states of the key (0: it has none yet).
func (w *witness) at(key int64, place int) (number int, state []int64) {
	known := w.versions[key]
	if known == nil {
		return 0, nil
	}
	all := *known
	n, _ := slices.BinarySearchFunc(all, place+1, func(v version, p int) int { return cmp.Compare(v.place, p) })
	if n == 0 {
		return 0, nil
	}
	return n, all[n-1].state
}

// touch is what a transaction did to one key.
type touch struct {
	key    int64
	read   bool // it depends on the state from before it
	wrote  bool
	number int // of the state from before it, see at
	state  []int64
}

// replay runs the operations on the log as it stood at place. With vals it
// compares what was read, and returns the first operation that read something
// else (-1: none). The touches are valid until the next call.
func (w *witness) replay(t *Txn, place int, vals [][]int64) (touched []touch, wrong int) {
	find := finder{slices: w.touched[:0]}
	wrong = -1
	for i, op := range t.Ops {
		k, fresh := find.at(op.Key)
		if fresh {
			k.number, k.state = w.at(op.Key, place)
		}
		if op.Reads() {
			if !k.wrote {
				k.read = true
			}
			if vals != nil {
				if wrong < 0 && !slices.Equal(vals[0], k.state) {
					wrong = i
				}
				vals = vals[1:]
			}
		}
		if op.Writes() {
			k.state = op.Apply(k.state)
			k.wrote = true
		}
	}
	w.touched = find.slices
	return find.slices, wrong
}

// finder finds the touch of a key: by looking at all while they are few, with
// a map in the long transactions that read everything.
type finder struct {
	slices []touch
	byKey  map[int64]int
}

const fewKeys = 16

func (f *finder) at(key int64) (k *touch, fresh bool) {
	if f.byKey != nil {
		if i, ok := f.byKey[key]; ok {
			return &f.slices[i], false
		}
	} else {
		for i := range f.slices {
			if f.slices[i].key == key {
				return &f.slices[i], false
			}
		}
	}
	f.slices = append(f.slices, touch{key: key})
	switch n := len(f.slices); {
	case f.byKey != nil:
		f.byKey[key] = n - 1
	case n > fewKeys:
		f.byKey = make(map[int64]int, 4*n)
		for i := range f.slices {
			f.byKey[f.slices[i].key] = i
		}
	}
	return &f.slices[len(f.slices)-1], true
}

// checkCommitted checks an acknowledged transaction by itself.
func (w *witness) checkCommitted(i int) {
	t := &w.txns[i]
	snap, ok := w.position[t.Snap]
	if !ok {
		w.add(Anomaly{Name: DirtyRead, Txns: []ID{t.ID}, Detail: fmt.Sprintf("its snapshot is transaction %d, which is not in the log", t.Snap)})
	} else {
		w.snap[i] = snap
	}
	touched := w.checkReads(t, snap, ok)
	if !t.Writes() {
		return
	}
	place, ok := w.position[t.TID]
	if !ok || place == 0 {
		w.add(Anomaly{Name: LostWrite, Txns: []ID{t.ID}, Detail: fmt.Sprintf("transaction %d was acknowledged and is not in the log", t.TID)})
		return
	}
	if other := w.owner[place-1]; other != 0 {
		w.add(Anomaly{Name: Duplicate, Txns: []ID{t.ID, w.txns[other-1].ID}, Detail: fmt.Sprintf("both were told that they are transaction %d", t.TID)})
		return
	}
	w.owner[place-1] = i + 1
	w.place[i] = place
	if ok := w.snap[i] >= 0 && w.checkValid(t, touched, snap, place); !ok {
		touched, _ = w.replay(t, place-1, nil)
	}
	w.checkWrites(t, touched, place)
}

// checkReads: what was read is the state of the snapshot and its own writes.
// It returns the transaction replayed there, unless the snapshot is not known.
func (w *witness) checkReads(t *Txn, snap int, known bool) []touch {
	if !known {
		return nil
	}
	touched, wrong := w.replay(t, snap, t.Vals)
	if wrong < 0 {
		return touched
	}
	op := t.Ops[wrong]
	name := WrongRead
	for _, before := range t.Ops[:wrong] {
		if before.Key == op.Key {
			name = Internal
		}
	}
	_, state := w.at(op.Key, snap)
	w.add(Anomaly{Name: name, Key: op.Key, Txns: []ID{t.ID},
		Detail: fmt.Sprintf("%s gave %s at snapshot %d, where the state is %s", op, brief(t.value(wrong)), t.Snap, brief(state))})
	return touched
}

// checkValid: nothing that an update read changed between snapshot and commit.
// It reports whether the keys, those included that it only wrote, stood at the
// commit as they did in the snapshot, so that touched holds there, too.
func (w *witness) checkValid(t *Txn, touched []touch, snap, place int) (same bool) {
	if place <= snap {
		w.add(Anomaly{Name: Incompatible, Txns: []ID{t.ID}, Detail: fmt.Sprintf("transaction %d saw snapshot %d, which is not older", t.TID, t.Snap)})
		return false
	}
	same = true
	for _, k := range touched {
		if now, _ := w.at(k.key, place-1); now == k.number {
			continue
		}
		same = false
		if !k.read {
			continue
		}
		name := Unvalidated
		if k.wrote {
			name = LostUpdate
		}
		w.add(Anomaly{Name: name, Key: k.key, Txns: []ID{t.ID},
			Detail: fmt.Sprintf("transaction %d read it at %d, but it changed before the commit", t.TID, t.Snap)})
	}
	return same
}

// checkWrites: the log holds what the operations make of the state before.
func (w *witness) checkWrites(t *Txn, touched []touch, place int) {
	written := w.log[place-1].Writes
	count := 0
	for _, k := range touched {
		if !k.wrote {
			continue
		}
		count++
		found := false
		for _, s := range written {
			found = found || s.Key == k.key && slices.Equal(s.State, k.state)
		}
		if !found {
			w.add(Anomaly{Name: Partial, Key: k.key, Txns: []ID{t.ID},
				Detail: fmt.Sprintf("transaction %d should have left %s, the log has something else", w.log[place-1].TID, brief(k.state))})
			return
		}
	}
	if count != len(written) {
		w.add(Anomaly{Name: Partial, Txns: []ID{t.ID},
			Detail: fmt.Sprintf("transaction %d wrote %d keys, the log has %d", w.log[place-1].TID, count, len(written))})
	}
}

// assignRest finds the writers of what no acknowledged transaction claims.
func (w *witness) assignRest(setup uint64) {
	for place := 1; place <= len(w.log); place++ {
		c := &w.log[place-1]
		if w.owner[place-1] != 0 || c.TID <= setup {
			continue
		}
		i, ok := w.writerOf(c)
		if !ok {
			w.add(Anomaly{Name: Garbage, Detail: fmt.Sprintf("nobody asked for transaction %d of the log", c.TID)})
			continue
		}
		t := &w.txns[i]
		switch {
		case t.Outcome == Conflict || t.Outcome == Fail:
			w.add(Anomaly{Name: Resurrection, Txns: []ID{t.ID}, Detail: fmt.Sprintf("it was told %q, and is in the log as transaction %d", t.Outcome, c.TID)})
		case w.place[i] >= 0:
			w.add(Anomaly{Name: Duplicate, Txns: []ID{t.ID}, Detail: fmt.Sprintf("it is in the log again as transaction %d", c.TID)})
		default:
			w.owner[place-1] = i + 1
			w.place[i] = place
			touched, _ := w.replay(t, place-1, nil)
			w.checkWrites(t, touched, place)
		}
	}
}

// writerOf finds who wrote a part of the log by the values in it.
func (w *witness) writerOf(c *Commit) (txn int, ok bool) {
	if w.writers == nil {
		w.writers = make(map[int64]int)
		for i := range w.txns {
			for _, op := range w.txns[i].Ops {
				if op.Writes() {
					w.writers[op.Value] = i
				}
			}
		}
	}
	for _, s := range c.Writes {
		if len(s.State) == 0 {
			continue
		}
		if i, ok := w.writers[s.State[len(s.State)-1]]; ok {
			return i, true
		}
	}
	return 0, false
}

// checkRealTime: a transaction sees all that returned before it was called.
func (w *witness) checkRealTime(relax bool) {
	type incarnation struct{ process, number int }
	var all int                      // newest place that anybody was told of
	session := map[incarnation]int{} // the same of each incarnation, reads included
	for _, m := range moments(w.txns) {
		t := &w.txns[m.txn]
		inc := incarnation{t.Process, t.Incarnation}
		if m.ret {
			known := max(w.place[m.txn], w.snap[m.txn])
			session[inc] = max(session[inc], known)
			if !relax || w.place[m.txn] >= 0 {
				all = max(all, known)
			}
			continue
		}
		must := max(all, session[inc])
		switch {
		case t.Outcome == OK && w.snap[m.txn] >= 0 && w.snap[m.txn] < must:
			w.add(Anomaly{Name: StaleRead, Txns: []ID{t.ID},
				Detail: fmt.Sprintf("its snapshot is %d, but %d was known before it began", t.Snap, w.log[must-1].TID)})
		case w.place[m.txn] >= 0 && w.place[m.txn] <= must:
			w.add(Anomaly{Name: RealTime, Txns: []ID{t.ID},
				Detail: fmt.Sprintf("it is transaction %d, but %d was known before it began", w.log[w.place[m.txn]-1].TID, w.log[must-1].TID)})
		}
	}
}

// moment is a call or a return.
type moment struct {
	order int64 // twice the time, and one for a return
	txn   int32
	ret   bool
}

// moments puts calls and returns of committed transactions in order. What
// happened in the same nanosecond counts as concurrent: calls come first.
func moments(txns []Txn) []moment {
	all := make([]moment, 0, 2*len(txns))
	for i := range txns {
		t := &txns[i]
		if t.Outcome == OK || t.Outcome == Info {
			all = append(all, moment{2 * t.Call, int32(i), false})
		}
		if t.Outcome == OK {
			all = append(all, moment{2*t.Ret + 1, int32(i), true})
		}
	}
	slices.SortFunc(all, func(a, b moment) int { return cmp.Compare(a.order, b.order) })
	return all
}

// brief shows a state, the end of a long one.
func brief(state []int64) string {
	const show = 6
	if len(state) <= show {
		return fmt.Sprint(state)
	}
	return fmt.Sprintf("%d values up to %v", len(state), state[len(state)-show:])
}
