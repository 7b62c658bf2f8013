package history

import (
	"fmt"
	"strings"
)

// Name of what went wrong.
type Name string

// The anomalies of Adya's thesis, in the names of Elle.
const (
	G0           Name = "G0"                 // write cycle
	G1a          Name = "G1a"                // aborted read
	G1b          Name = "G1b"                // intermediate read
	G1c          Name = "G1c"                // circular information flow
	GSingle      Name = "G-single"           // read skew: one anti-dependency
	GNonadjacent Name = "G-nonadjacent"      // anti-dependencies, no two of them adjacent: forbidden under snapshot isolation, too
	G2           Name = "G2"                 // anti-dependency cycle
	LostUpdate   Name = "lost update"        // G-single of two writers of one key
	WriteSkew    Name = "write skew"         // G2 of two transactions, each of which read what the other wrote
	LongFork     Name = "long fork"          // G-nonadjacent of two writers that two readers saw in different order
	StaleRead    Name = "stale read"         // a read that misses what had returned before it began
	RealTime     Name = "realtime"           // any other order against real time
	LostWrite    Name = "lost write"         // an acknowledged write is gone
	Resurrection Name = "resurrection"       // a write comes back that was refused or had been gone
	Duplicate    Name = "duplicate"          // a write happened twice
	Garbage      Name = "garbage"            // a value that nobody wrote
	Incompatible Name = "incompatible order" // reads or log disagree about the order of writes
	Internal     Name = "internal"           // a transaction does not see its own writes, or sees two states of one key
	WrongRead    Name = "wrong read"         // a read does not show the state of its snapshot
	Unvalidated  Name = "unvalidated read"   // what an update read had changed before it committed
	Partial      Name = "partial"            // a transaction was applied in part, or otherwise than it asked
	DirtyRead    Name = "dirty read"         // a snapshot of something that is not in the log
	NotLinear    Name = "not linearizable"
	Undecided    Name = "undecided" // the checker gave up, which is no proof
	Malformed    Name = "malformed" // the history breaks the rules that the checkers need
	Vacuous      Name = "vacuous"   // the run shows too little
)

// Anomaly is one thing that went wrong.
type Anomaly struct {
	Name   Name
	Class  string // of a cycle: Adya's class, with -realtime or -process where those edges are needed
	Key    int64
	Txns   []ID
	Detail string
}

func (a Anomaly) String() string {
	var b strings.Builder
	b.WriteString(string(a.Name))
	if a.Class != "" && a.Class != string(a.Name) {
		fmt.Fprintf(&b, " (%s)", a.Class)
	}
	fmt.Fprintf(&b, " on key %d", a.Key)
	for i, id := range a.Txns {
		if i == 0 {
			b.WriteString(" by")
		}
		fmt.Fprintf(&b, " %s", id)
	}
	return b.String() + ": " + a.Detail
}

// maxAnomalies is how many anomalies a report keeps: one bug makes thousands.
const maxAnomalies = 50

// Report is what a checker found.
type Report struct {
	Checker   string
	Anomalies []Anomaly // the first ones
	Total     int       // how many there were

	Txns, Committed, Conflicts, Infos, ReadOnly int
}

func (r *Report) add(a Anomaly) {
	r.Total++
	if len(r.Anomalies) < maxAnomalies {
		r.Anomalies = append(r.Anomalies, a)
	}
}

// Has reports whether an anomaly of that name was found.
func (r *Report) Has(n Name) bool {
	for _, a := range r.Anomalies {
		if a.Name == n {
			return true
		}
	}
	return false
}

// Err is nil if nothing was found.
func (r *Report) Err() error {
	if r.Total == 0 {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "history: %s found %d anomalies in %d transactions", r.Checker, r.Total, r.Txns)
	for _, a := range r.Anomalies[:min(len(r.Anomalies), 10)] {
		fmt.Fprintf(&b, "\n  %s", a)
	}
	return fmt.Errorf("%s", b.String())
}

// Options of the checkers.
type Options struct {
	// Setup is the last transaction that was committed before recording
	// began. The log up to it belongs to nobody.
	Setup uint64
	// Initial is the state of keys before recording began, for the checkers
	// that do not read the log.
	Initial map[int64][]int64
	// RelaxReaders: what a transaction that wrote nothing saw binds later ones
	// of other processes only as far as writers that had returned do.
	RelaxReaders bool
	// Require says what a run must hold to prove anything.
	Require Require
}

// Require is what must have happened at least. The zero value asks for one
// committed transaction.
type Require struct {
	Committed, Conflicts, Infos, ReadOnly int
}

// count fills in the numbers of a report and judges them.
func (r *Report) count(txns []Txn, want Require) {
	r.Txns = len(txns)
	for i := range txns {
		t := &txns[i]
		switch t.Outcome {
		case OK:
			r.Committed++
			if !t.Writes() {
				r.ReadOnly++
			}
		case Conflict:
			r.Conflicts++
		case Info:
			r.Infos++
		}
	}
	check := func(what string, have, want int) {
		if have < want {
			r.add(Anomaly{Name: Vacuous, Detail: fmt.Sprintf("%d %s, at least %d are needed", have, what, want)})
		}
	}
	check("committed", r.Committed, max(want.Committed, 1))
	check("conflicts", r.Conflicts, want.Conflicts)
	check("infos", r.Infos, want.Infos)
	check("read-only", r.ReadOnly, want.ReadOnly)
}
