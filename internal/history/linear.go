package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// Limits of Linear: the time of its search grows without bound when a history
// is wrong, so it takes small ones.
const (
	LinearKeys = 16
	LinearTxns = 5000
)

// registers is the state of the database in Linear: the value that was written
// last, of each key.
type registers [LinearKeys]int64

// step is a transaction in Linear.
type step struct {
	*Txn
	slots []int // of the key of each operation
	blind bool  // it had not returned: what it read is not known
}

// Linear asks porcupine, by exhaustive search, whether the transactions can be
// put in one order that agrees with real time and with what they read. It
// looks at the beginning of the history, LinearTxns transactions, which must
// use no more than LinearKeys keys; and tells states of a key apart by their
// last value. Not to know in time is a failure.
func Linear(txns []Txn, opts Options, timeout time.Duration) *Report {
	r := &Report{Checker: "linear"}
	r.count(txns, opts.Require)
	slots := make(map[int64]int)
	operations, err := linearOperations(txns, slots)
	if err != nil {
		r.add(Anomaly{Name: Undecided, Detail: err.Error()})
		return r
	}
	model := porcupine.Model{
		Init: func() any {
			var s registers
			for key, slot := range slots {
				s[slot] = lastOf(opts.Initial[key])
			}
			return s
		},
		Step: func(state, input, _ any) (bool, any) {
			s := state.(registers)
			ok := s.apply(input.(step))
			return ok, s
		},
		Hash: func(state any) uint64 { return state.(registers).hash() },
	}
	switch porcupine.CheckOperationsTimeout(model, operations, timeout) {
	case porcupine.Illegal:
		r.add(Anomaly{Name: NotLinear, Detail: fmt.Sprintf("there is no serial order of %d transactions", len(operations))})
	case porcupine.Unknown:
		r.add(Anomaly{Name: Undecided, Detail: fmt.Sprintf("no answer within %v for %d transactions", timeout, len(operations))})
	}
	return r
}

// linearOperations takes the beginning of the history. A transaction that was
// still running where it is cut, or whose outcome is not known, takes part if
// somebody saw what it wrote; if nobody did it can be put at the end, where it
// bothers nobody.
func linearOperations(txns []Txn, slots map[int64]int) ([]porcupine.Operation, error) {
	chosen := make([]*Txn, 0, len(txns))
	for i := range txns {
		if o := txns[i].Outcome; o == OK || o == Info {
			chosen = append(chosen, &txns[i])
		}
	}
	slices.SortFunc(chosen, func(a, b *Txn) int { return cmp.Compare(a.Call, b.Call) })
	cut := int64(math.MaxInt64)
	if len(chosen) > LinearTxns {
		cut = chosen[LinearTxns].Call
		chosen = chosen[:LinearTxns]
	}
	finished := func(t *Txn) bool { return t.Outcome == OK && t.Ret < cut }
	seen := make(map[int64]bool)
	for _, t := range chosen {
		if finished(t) {
			for _, state := range t.Vals {
				seen[lastOf(state)] = true
			}
		}
	}
	var operations []porcupine.Operation
	for i, t := range chosen {
		s := step{Txn: t, blind: !finished(t)}
		ret := t.Ret
		if s.blind {
			if !slices.ContainsFunc(t.Ops, func(o Op) bool { return o.Writes() && seen[o.Value] }) {
				continue
			}
			ret = math.MaxInt64 - int64(len(chosen)-i)
		}
		for _, op := range t.Ops {
			slot, ok := slots[op.Key]
			if !ok {
				if slot = len(slots); slot == LinearKeys {
					return nil, fmt.Errorf("the history has more than %d keys", LinearKeys)
				}
				slots[op.Key] = slot
			}
			s.slots = append(s.slots, slot)
		}
		operations = append(operations, porcupine.Operation{Input: s, Call: t.Call, Return: ret})
	}
	return operations, nil
}

// apply runs a transaction, and reports whether it read what was there.
func (s *registers) apply(t step) bool {
	read := 0
	for i, op := range t.Ops {
		if op.Reads() {
			if !t.blind && lastOf(t.Vals[read]) != s[t.slots[i]] {
				return false
			}
			read++
		}
		if op.Writes() {
			s[t.slots[i]] = op.Value
		}
	}
	return true
}

// hash is FNV-1a over the values.
func (s registers) hash() uint64 {
	h := uint64(14695981039346656037)
	for _, v := range s {
		h = (h ^ uint64(v)) * 1099511628211
	}
	return h
}

// lastOf is the value that was written last, 0 for none.
func lastOf(state []int64) int64 {
	if len(state) == 0 {
		return 0
	}
	return state[len(state)-1]
}
