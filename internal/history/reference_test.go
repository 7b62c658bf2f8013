package history

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
)

// bug is what a mutant of the reference database does wrong.
type bug string

const correct bug = ""

// reference is a serializable database in memory: a log of states, snapshots
// by position, first committer wins. Mutants of it break one rule each.
type reference struct {
	bug      bug
	rnd      *rand.Rand
	log      []Commit
	versions map[int64][]version
	lastTID  uint64
	lost     []Commit // to come back, in one mutant
}

func newReference(b bug, seed uint64) *reference {
	return &reference{bug: b, rnd: rand.New(rand.NewPCG(seed, 1)), versions: make(map[int64][]version)}
}

// is reports whether the database has the bug and shows it this time, once in n.
func (db *reference) is(b bug, n int) bool { return db.bug == b && db.rnd.IntN(n) == 0 }

func (db *reference) state(key int64, place int) []int64 {
	all := db.versions[key]
	n, _ := slices.BinarySearchFunc(all, place+1, func(v version, p int) int { return cmp.Compare(v.place, p) })
	if n == 0 {
		return nil
	}
	return all[n-1].state
}

// changed reports whether a key has a state younger than a place, up to another one.
func (db *reference) changed(key int64, after, upTo int) bool {
	for _, v := range slices.Backward(db.versions[key]) {
		if v.place <= after {
			return false
		}
		if v.place <= upTo {
			return true
		}
	}
	return false
}

func (db *reference) tidAt(place int) uint64 {
	if place == 0 {
		return 0
	}
	return db.log[min(place, len(db.log))-1].TID
}

// push appends a commit to the log.
func (db *reference) push(c Commit) {
	db.log = append(db.log, c)
	for _, s := range c.Writes {
		db.versions[s.Key] = append(db.versions[s.Key], version{len(db.log), s.State})
	}
}

// pop takes the last commit away, as a crash might.
func (db *reference) pop() Commit {
	c := db.log[len(db.log)-1]
	for _, s := range c.Writes {
		v := db.versions[s.Key]
		db.versions[s.Key] = v[:len(v)-1]
	}
	db.log = db.log[:len(db.log)-1]
	return c
}

// session is one transaction of one client on the reference.
type session struct {
	txn      *Txn
	snap     int // place in the log
	known    int // length of the log when the commit began
	op       int // operation that comes next
	phase    int
	pending  map[int64][]int64 // own writes
	readonly bool
}

// begin takes a snapshot.
func (db *reference) begin(s *session, previous int) {
	s.snap = len(db.log)
	switch {
	case db.is("stale snapshot", 8):
		s.snap = max(0, s.snap-1-db.rnd.IntN(3))
	case s.readonly && db.is("views lag", 4):
		s.snap = max(0, s.snap-2)
	case db.is("no poll at begin", 4):
		s.snap = min(previous, s.snap)
	}
	s.pending = make(map[int64][]int64)
	s.txn.Snap = db.tidAt(s.snap)
}

// run executes the next operation. others are the running transactions.
func (db *reference) run(s *session, others []*session) {
	op := s.txn.Ops[s.op]
	s.op++
	place := s.snap
	if db.bug == "reads the newest" {
		place = len(db.log)
	}
	state, own := s.pending[op.Key]
	if !own || op.Kind == Read && db.is("ignores own writes", 1) {
		state = db.state(op.Key, place)
	}
	if op.Reads() {
		s.txn.Vals = append(s.txn.Vals, db.corrupt(op, state, others))
	}
	if op.Writes() {
		s.pending[op.Key] = op.Apply(state)
	}
}

// corrupt returns what a read shows.
func (db *reference) corrupt(op Op, state []int64, others []*session) []int64 {
	switch {
	case db.is("reads uncommitted", 4):
		for _, o := range others {
			if dirty, ok := o.pending[op.Key]; ok && len(dirty) > len(state) {
				return dirty
			}
		}
	case len(state) > 0 && db.is("bit flip", 100):
		state = slices.Clone(state)
		state[len(state)-1] ^= 1 << 50
	case db.is("reads another key", 100):
		return db.state(op.Key+1, len(db.log))
	case len(state) > 2 && db.is("reads without the first", 100):
		return state[1:]
	case len(state) > 1 && db.is("short read", 100):
		return state[:len(state)-1]
	}
	return slices.Clone(state)
}

// conflicts validates: nothing read or written has changed since the snapshot.
func (db *reference) conflicts(s *session) bool {
	upTo := len(db.log)
	switch db.bug {
	case "no validation":
		return false
	case "validates before the lock":
		upTo = s.known
	case "validation is one short":
		upTo--
	}
	for _, op := range s.txn.Ops {
		key := op.Key
		switch {
		case db.bug == "no read validation" && !op.Writes():
			continue
		case db.bug == "no write validation" && op.Writes():
			continue
		case db.bug == "validates another key":
			key ^= 1
		}
		if db.changed(key, s.snap, upTo) {
			return true
		}
	}
	return false
}

// apply appends what a transaction wrote.
func (db *reference) apply(s *session) {
	c := Commit{TID: db.lastTID + 3}
	for _, key := range slices.Sorted(maps.Keys(s.pending)) {
		c.Writes = append(c.Writes, KeyState{key, db.mangle(s, key)})
	}
	many := len(c.Writes) > 1
	switch {
	case db.is("loses acknowledged commits", 50):
		db.lastTID, s.txn.TID = c.TID, c.TID
		return
	case many && db.is("applies half", 20):
		c.Writes = c.Writes[1:]
	case db.is("transaction ids run back", 20):
		c.TID = db.lastTID - 1
	case len(db.log) > 0 && db.is("a transaction id twice", 20):
		c.TID = db.lastTID
	}
	db.lastTID = max(db.lastTID, c.TID)
	s.txn.TID = c.TID
	db.push(c)
	switch {
	case db.is("commits twice", 50):
		again := c
		again.TID++
		db.push(again)
	case db.is("invents a commit", 50):
		db.push(Commit{TID: c.TID + 1, Writes: []KeyState{{c.Writes[0].Key, []int64{1 << 60}}}})
	case db.is("loses the last frame", 50):
		db.pop()
	case len(db.lost) == 0 && db.is("a lost frame comes back", 20):
		db.lost = append(db.lost, db.pop())
	case len(db.lost) > 0 && db.is("a lost frame comes back", 5):
		db.push(db.lost[0])
		db.lost = nil
	}
}

// mangle returns the state that a transaction leaves in a key.
func (db *reference) mangle(s *session, key int64) []int64 {
	place := len(db.log)
	if db.bug == "no validation" || db.bug == "no write validation" {
		place = s.snap
	}
	state := db.state(key, place)
	var last Op
	for _, op := range s.txn.Ops {
		if op.Key == key && op.Writes() {
			state = op.Apply(state)
			last = op
		}
	}
	switch {
	case db.is("appends twice", 50):
		state = append(slices.Clone(state), last.Value)
	case db.is("drops the list", 50):
		state = []int64{last.Value}
	case len(state) > 1 && db.is("reorders a list", 50):
		state = slices.Clone(state)
		n := len(state)
		state[n-1], state[n-2] = state[n-2], state[n-1]
	}
	return state
}
