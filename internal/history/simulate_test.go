package history

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// simulation runs clients against the reference, one step of one of them at a
// time, in an order that the seed decides.
type simulation struct {
	db      *reference
	rnd     *rand.Rand
	clock   int64
	txns    []*Txn
	clients []*simClient
	keys    map[int64]bool
	late    []*session // to be applied some time after their return
}

type simClient struct {
	process, incarnation, number int
	next                         Workload
	stamps                       *Stamps
	running                      *session
	lastSnap                     int
}

// steps of a transaction; between any two of them others may run.
const (
	stepBegin = iota
	stepRun
	stepValidate
	stepCommit
	stepReturn
)

// simulate returns a history of n transactions and the final log. One in kill
// transactions ends with its client (0: none).
func simulate(b bug, seed uint64, n, clients, kill int, workload func() Workload) ([]Txn, []Commit) {
	s := &simulation{db: newReference(b, seed), rnd: rand.New(rand.NewPCG(seed, 2)), keys: make(map[int64]bool)}
	for i := range clients {
		s.clients = append(s.clients, &simClient{process: i + 1, next: workload(), stamps: NewStamps(i+1, 0)})
	}
	for len(s.txns) < n {
		s.clock++
		s.step(s.clients[s.rnd.IntN(clients)], kill)
	}
	for _, c := range s.clients {
		for c.running != nil {
			s.clock++
			s.step(c, 0)
		}
	}
	for _, l := range s.late {
		s.db.apply(l)
	}
	s.readEverything()
	txns := make([]Txn, len(s.txns))
	for i, t := range s.txns {
		txns[i] = *t
	}
	return txns, s.db.log
}

func (s *simulation) step(c *simClient, kill int) {
	if len(s.late) > 0 && s.rnd.IntN(20) == 0 {
		s.db.apply(s.late[0])
		s.late = s.late[1:]
	}
	r := c.running
	if r == nil {
		s.call(c)
		return
	}
	if kill > 0 && s.rnd.IntN(5*kill) == 0 {
		s.kill(c, r)
		return
	}
	switch r.phase {
	case stepBegin:
		s.db.begin(r, c.lastSnap)
		c.lastSnap = r.snap
		r.phase = stepRun
	case stepRun:
		s.db.run(r, s.running(c))
		if r.op == len(r.txn.Ops) {
			r.phase = stepValidate
		}
	case stepValidate:
		r.known = len(s.db.log)
		r.phase = stepCommit
	case stepCommit:
		s.commit(r)
		r.phase = stepReturn
	case stepReturn:
		r.txn.Ret = s.clock
		c.running = nil
	}
}

func (s *simulation) call(c *simClient) {
	ops, readonly := c.next(s.rnd, c.stamps)
	for _, op := range ops {
		s.keys[op.Key] = true
	}
	c.number++
	t := &Txn{ID: ID{c.process, c.incarnation, c.number}, Outcome: Info, Call: s.clock, Ops: ops}
	s.txns = append(s.txns, t)
	c.running = &session{txn: t, readonly: readonly}
}

func (s *simulation) commit(r *session) {
	r.txn.Outcome = OK
	switch {
	case !r.txn.Writes():
	case s.db.conflicts(r):
		r.txn.Outcome = Conflict
		if s.db.is("commits what it refused", 10) {
			s.db.apply(r)
			r.txn.TID = 0
		}
	case s.db.is("acknowledges before it applies", 10):
		r.txn.TID = s.db.lastTID + 3
		s.late = append(s.late, r)
	default:
		s.db.apply(r)
	}
}

// kill ends a client where it stands; the next one is another incarnation.
func (s *simulation) kill(c *simClient, r *session) {
	switch {
	case r.phase == stepCommit && s.db.bug == "half of a killed commit" && len(r.pending) > 1:
		whole := *r
		whole.pending = maps.Clone(r.pending)
		for key := range whole.pending {
			delete(whole.pending, key)
			break
		}
		s.db.apply(&whole)
	case r.phase == stepCommit && s.rnd.IntN(2) == 0 && r.txn.Writes() && !s.db.conflicts(r):
		s.db.apply(r)
	}
	r.txn.Outcome, r.txn.Vals, r.txn.TID, r.txn.Snap = Info, nil, 0, 0
	c.running = nil
	c.incarnation++
	c.number = 0
	c.stamps = NewStamps(c.process, c.incarnation)
}

func (s *simulation) running(but *simClient) []*session {
	var all []*session
	for _, c := range s.clients {
		if c != but && c.running != nil {
			all = append(all, c.running)
		}
	}
	return all
}

// readEverything ends a history with a fresh client, which fixes the order of
// the last writes.
func (s *simulation) readEverything() {
	t := &Txn{ID: ID{Process: len(s.clients) + 1, Number: 1}, Outcome: OK, Call: s.clock + 1, Ret: s.clock + 2, Snap: s.db.tidAt(len(s.db.log))}
	for _, key := range slices.Sorted(maps.Keys(s.keys)) {
		t.Ops = append(t.Ops, R(key))
		t.Vals = append(t.Vals, s.db.state(key, len(s.db.log)))
	}
	s.txns = append(s.txns, t)
}

// mixed is all workloads on keys of their own.
func mixed() Workload {
	return Mix(
		ListAppend(0, 8, 30),
		Register(1_000_000, 4),
		Bank(2_000_000, 5),
		SkewPairs(3_000_000, 2),
		ReadOnlyAnomaly(4_000_000, 2),
		Fork(5_000_000, 2),
		Counter(6_000_000),
	)
}

// bankKeys are the accounts of mixed.
func bankKeys() []int64 {
	var keys []int64
	for i := range int64(5) {
		keys = append(keys, 2_000_000+i)
	}
	return keys
}
