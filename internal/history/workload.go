package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// Stamps gives out values that no other recorder gives out: the process above
// bit 40, the incarnation above bit 24, a count below. It is for one goroutine.
type Stamps struct{ base, count int64 }

const (
	processBit     = 40
	incarnationBit = 24
)

// NewStamps returns the values of one incarnation of one process, which count
// from 1 up; so no value is 0.
func NewStamps(process, incarnation int) *Stamps {
	if process < 0 || process >= 1<<(63-processBit) || incarnation < 0 || incarnation >= 1<<(processBit-incarnationBit) {
		panic(fmt.Sprintf("history: process %d, incarnation %d do not fit into a value", process, incarnation))
	}
	return &Stamps{base: int64(process)<<processBit | int64(incarnation)<<incarnationBit}
}

// Next returns a value that was never given out.
func (s *Stamps) Next() int64 {
	s.count++
	if s.count >= 1<<incarnationBit {
		panic("history: one incarnation has used up its values: restart it with the next number")
	}
	return s.base | s.count
}

// Workload makes up the next transaction of one client. The values in it are
// fresh, also when the transaction before it was refused.
type Workload func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool)

// ListAppend is the general workload: one to five operations, half of them
// reads, on keys from base up, few of which are hot. A client moves to new
// keys after perKey appends to one, so that lists stay short.
func ListAppend(base int64, live, perKey int) Workload {
	key := make([]int64, live) // the key in each slot
	used := make([]int, live)
	for i := range key {
		key[i] = base + int64(i)
	}
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		readonly = true
		for range 1 + rnd.IntN(5) {
			slot := min(int(rnd.ExpFloat64()*float64(live)/4), live-1)
			if rnd.IntN(2) == 0 {
				ops = append(ops, R(key[slot]))
				continue
			}
			readonly = false
			ops = append(ops, A(key[slot], stamps.Next()))
			if used[slot]++; used[slot] == perKey {
				key[slot] += int64(live)
				used[slot] = 0
			}
		}
		return ops, readonly
	}
}

// Register reads and then writes one or two of the keys, with a third one read only.
func Register(base int64, keys int) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		order := rnd.Perm(keys)
		for i, k := range order[:min(3, keys)] {
			ops = append(ops, R(base+int64(k)))
			if i < 2 && rnd.IntN(3) > 0 {
				ops = append(ops, W(base+int64(k), stamps.Next()))
				continue
			}
		}
		for _, op := range ops {
			if op.Writes() {
				return ops, false
			}
		}
		return ops, true
	}
}

// Bank moves amounts between accounts, which may be overdrawn, and reads all
// of them now and then; their sum never changes (Sum).
func Bank(base int64, accounts int) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		if rnd.IntN(5) == 0 {
			for i := range accounts {
				ops = append(ops, R(base+int64(i)))
			}
			return ops, true
		}
		pair := rnd.Perm(accounts)
		amount := 1 + rnd.Int64N(100)
		return []Op{
			I(base+int64(pair[0]), -amount, stamps.Next()),
			I(base+int64(pair[1]), amount, stamps.Next()),
		}, false
	}
}

// SkewPairs reads both keys of a pair and writes one of them: two clients that
// both commit on the same state have skewed it.
func SkewPairs(base int64, pairs int) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		x := base + 2*rnd.Int64N(int64(pairs))
		which := rnd.Int64N(2)
		return []Op{R(x + 1 - which), I(x+which, 1, stamps.Next())}, false
	}
}

// ReadOnlyAnomaly is the example of Fekete, O'Neil and O'Neil (SIGMOD Record
// 2004): a deposit to y, a withdrawal from x that looks at both, and a reader
// that sees the deposit and not the withdrawal.
func ReadOnlyAnomaly(base int64, pairs int) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		x := base + 2*rnd.Int64N(int64(pairs))
		y := x + 1
		switch rnd.IntN(3) {
		case 0:
			return []Op{I(y, 20, stamps.Next())}, false
		case 1:
			return []Op{R(y), I(x, -10, stamps.Next())}, false
		default:
			return []Op{R(x), R(y)}, true
		}
	}
}

// Fork writes one key of a pair, or reads both: two readers may not see two
// writes in different order.
func Fork(base int64, pairs int) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		x := base + 2*rnd.Int64N(int64(pairs))
		if rnd.IntN(2) == 0 {
			return []Op{R(x), R(x + 1)}, true
		}
		return []Op{I(x+rnd.Int64N(2), 1, stamps.Next())}, false
	}
}

// Counter adds one to a key, and reads it now and then (Count).
func Counter(key int64) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		if rnd.IntN(8) == 0 {
			return []Op{R(key)}, true
		}
		return []Op{I(key, 1, stamps.Next())}, false
	}
}

// Mix takes each transaction from one of several workloads.
func Mix(all ...Workload) Workload {
	return func(rnd *rand.Rand, stamps *Stamps) (ops []Op, readonly bool) {
		return all[rnd.IntN(len(all))](rnd, stamps)
	}
}

// Errors by which a Client says what came of a transaction. Any other error
// means that nothing was written and nothing will be.
var (
	ErrConflict = errors.New("history: the transaction was refused")
	ErrUnknown  = errors.New("history: the outcome is unknown")
)

// Client runs transactions on the database under test.
type Client interface {
	// Txn runs the operations, in order, as one transaction, once: it does
	// not try again after a conflict. vals has the state of the key before
	// each operation that reads; snap is the newest transaction that the
	// snapshot held, tid the id of the commit. The begin of the transaction
	// must lie inside the call.
	Txn(ops []Op, readonly bool) (vals [][]int64, snap, tid uint64, err error)
}

// Run drives a client until ctx is done or n transactions have been tried
// (n = 0: no limit), and writes down all of them. An error that is neither
// ErrConflict nor ErrUnknown ends the run and is returned.
func Run(ctx context.Context, rec *Recorder, stamps *Stamps, c Client, next Workload, rnd *rand.Rand, n int) error {
	for i := 0; (n == 0 || i < n) && ctx.Err() == nil; i++ {
		ops, readonly := next(rnd, stamps)
		number, err := rec.Call(ops)
		if err != nil {
			return err
		}
		e := Event{Number: number}
		e.Vals, e.Snap, e.TID, err = c.Txn(ops, readonly)
		switch {
		case err == nil:
			e.Type, err = OK, nil
		case errors.Is(err, ErrConflict):
			e.Type, err = Conflict, nil
		case errors.Is(err, ErrUnknown):
			e.Type, err = Info, nil
		default:
			e.Type = Fail
		}
		if werr := rec.Return(e); werr != nil {
			return errors.Join(err, werr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
