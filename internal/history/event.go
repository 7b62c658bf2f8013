package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Kind of an operation, as it is spelled in event files.
type Kind string

// The operations.
const (
	Read      Kind = "r" // read the list
	Append    Kind = "a" // append Value to the list
	Write     Kind = "w" // the list becomes [Value]
	Increment Kind = "i" // read the list [n, ...]; it becomes [n+Delta, Value]
)

// Op is one operation on one key. Value is the number that makes a write
// unique; Delta is for Increment alone.
type Op struct {
	Kind  Kind
	Key   int64
	Value int64
	Delta int64
}

// R makes a Read.
func R(key int64) Op { return Op{Kind: Read, Key: key} }

// A makes an Append.
func A(key, value int64) Op { return Op{Kind: Append, Key: key, Value: value} }

// W makes a Write.
func W(key, value int64) Op { return Op{Kind: Write, Key: key, Value: value} }

// I makes an Increment.
func I(key, delta, value int64) Op { return Op{Kind: Increment, Key: key, Delta: delta, Value: value} }

// Reads reports whether the operation returns the state of its key.
func (o Op) Reads() bool { return o.Kind == Read || o.Kind == Increment }

// Writes reports whether the operation changes its key.
func (o Op) Writes() bool { return o.Kind != Read }

// Apply returns the state of the key after the operation. It does not change
// state, but an Append may share its memory.
func (o Op) Apply(state []int64) []int64 {
	switch o.Kind {
	case Append:
		return append(state[:len(state):len(state)], o.Value)
	case Write:
		return []int64{o.Value}
	case Increment:
		n := o.Delta
		if len(state) > 0 {
			n += state[0]
		}
		return []int64{n, o.Value}
	default:
		return state
	}
}

func (o Op) String() string {
	b, err := o.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// MarshalJSON writes ["r",key], ["a",key,value], ["w",key,value] or
// ["i",key,delta,value].
func (o Op) MarshalJSON() ([]byte, error) {
	b := append([]byte(`["`), o.Kind...)
	b = append(b, `",`...)
	b = strconv.AppendInt(b, o.Key, 10)
	if o.Kind == Increment {
		b = strconv.AppendInt(append(b, ','), o.Delta, 10)
	}
	if o.Writes() {
		b = strconv.AppendInt(append(b, ','), o.Value, 10)
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Op) UnmarshalJSON(text []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) == 0 {
		return errors.New("history: an operation without a kind")
	}
	*o = Op{}
	if err := json.Unmarshal(parts[0], &o.Kind); err != nil {
		return err
	}
	var into []*int64
	switch o.Kind {
	case Read:
		into = []*int64{&o.Key}
	case Append, Write:
		into = []*int64{&o.Key, &o.Value}
	case Increment:
		into = []*int64{&o.Key, &o.Delta, &o.Value}
	default:
		return fmt.Errorf("history: unknown operation %q", o.Kind)
	}
	if len(parts) != len(into)+1 {
		return fmt.Errorf("history: operation %q wants %d numbers, has %d", o.Kind, len(into), len(parts)-1)
	}
	for i, p := range into {
		if err := json.Unmarshal(parts[i+1], p); err != nil {
			return err
		}
	}
	return nil
}

// Type of an event. All but Call are outcomes.
type Type string

// A call and its outcomes.
const (
	Call     Type = "call"
	OK       Type = "ok"       // committed
	Conflict Type = "conflict" // refused: nothing of it may ever be seen
	Fail     Type = "fail"     // failed before it was appended: the same
	Info     Type = "info"     // not known: killed, or a failed sync
)

// Event is one line of an event file. A Call line is written before the
// operation begins, the other one after it returned; they belong together by
// process, incarnation and number.
type Event struct {
	Process     int       `json:"p"`
	Incarnation int       `json:"inc"`
	Number      int       `json:"n"`
	Type        Type      `json:"t"`
	Time        int64     `json:"ns"` // CLOCK_MONOTONIC, one clock for all processes of a machine
	Ops         []Op      `json:"ops,omitempty"`
	Snap        uint64    `json:"snap,omitempty"` // newest transaction in the snapshot
	TID         uint64    `json:"tid,omitempty"`
	Vals        [][]int64 `json:"vals,omitempty"` // one state for each op that reads, in order
}

// ID names a transaction of a history.
type ID struct{ Process, Incarnation, Number int }

func (id ID) String() string {
	return fmt.Sprintf("%d.%d/%d", id.Process, id.Incarnation, id.Number)
}

// Txn is a transaction: a call and its outcome.
type Txn struct {
	ID
	Outcome   Type
	Call, Ret int64 // Ret counts only if Outcome is not Info
	Ops       []Op
	Vals      [][]int64
	Snap, TID uint64
}

// Writes reports whether the transaction changes anything.
func (t *Txn) Writes() bool {
	for _, o := range t.Ops {
		if o.Writes() {
			return true
		}
	}
	return false
}

// value is what the operation at index op read.
func (t *Txn) value(op int) []int64 {
	reads := 0
	for _, o := range t.Ops[:op] {
		if o.Reads() {
			reads++
		}
	}
	return t.Vals[reads]
}

// Pair makes transactions out of events, in the order of their calls in the
// slice. A call without an outcome is Info. Events that no recorder writes are
// an error: a history that is wrong in itself proves nothing.
func Pair(events []Event) ([]Txn, error) {
	txns := make([]Txn, 0, len(events)/2+1)
	open := make(map[ID]int)
	done := make(map[ID]bool)
	for i := range events {
		e := &events[i]
		id := ID{e.Process, e.Incarnation, e.Number}
		at, running := open[id]
		if e.Type == Call {
			if running || done[id] {
				return nil, fmt.Errorf("history: transaction %s was called twice", id)
			}
			open[id] = len(txns)
			txns = append(txns, Txn{ID: id, Outcome: Info, Call: e.Time, Ops: e.Ops})
			continue
		}
		if !running {
			return nil, fmt.Errorf("history: transaction %s has an outcome (%s) without a call", id, e.Type)
		}
		t := &txns[at]
		t.Outcome, t.Ret, t.Vals, t.Snap, t.TID = e.Type, e.Time, e.Vals, e.Snap, e.TID
		if err := t.check(); err != nil {
			return nil, err
		}
		delete(open, id)
		done[id] = true
	}
	return txns, nil
}

func (t *Txn) check() error {
	switch t.Outcome {
	case OK:
	case Conflict, Fail, Info:
		return nil
	default:
		return fmt.Errorf("history: transaction %s has the unknown outcome %q", t.ID, t.Outcome)
	}
	reads := 0
	for _, o := range t.Ops {
		if o.Reads() {
			reads++
		}
	}
	if reads != len(t.Vals) {
		return fmt.Errorf("history: transaction %s reads %d times and has %d values", t.ID, reads, len(t.Vals))
	}
	if t.Ret < t.Call {
		return fmt.Errorf("history: transaction %s returned before its call", t.ID)
	}
	return nil
}
