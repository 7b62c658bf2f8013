package trace

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/durusdb/durus/vfs/wrap"
)

// transfers are the operations that move bytes.
const transfers = wrap.Read | wrap.Append | wrap.Rewrite | wrap.Write | wrap.ReadMark

// Event is one operation that has ended.
type Event struct {
	Seq      uint64        // in what order they began, from 1
	Op       wrap.Op       // one operation
	Name     string        // of the file, as the caller gave it
	Off      int64         // where it reads or writes; the new size of Truncate
	N        int64         // bytes read or written; the size that Size and Stat answer; the names of List
	Duration time.Duration // from the call to the answer
	Err      error
}

// String tells the event in one line.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v %s", e.Seq, e.Op, e.Name)
	switch {
	case e.Op.Has(transfers | wrap.Map):
		fmt.Fprintf(&b, " @%d+%d", e.Off, e.N)
	case e.Op == wrap.Truncate:
		fmt.Fprintf(&b, " to %d", e.Off)
	case e.Op.Has(wrap.Size | wrap.FileStat | wrap.Stat | wrap.List):
		fmt.Fprintf(&b, " = %d", e.N)
	}
	fmt.Fprintf(&b, " %v", e.Duration)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// failed reports whether an answer is a failure. Again is none, but that is
// asked before.
func failed(c *wrap.Call) bool { return c.Err != nil && !errors.Is(c.Err, io.EOF) }

// amount is the N of an event.
func amount(c *wrap.Call) int64 {
	switch {
	case c.Op.Has(transfers | wrap.Map):
		return int64(c.N)
	case c.Op.Has(wrap.Size | wrap.FileStat | wrap.Stat):
		return c.Info.Size
	case c.Op == wrap.List:
		return int64(len(c.Names))
	}
	return 0
}

// ring keeps the newest events.
type ring struct {
	events []Event // at most cap(events), then from next on the oldest
	next   int
}

func (r *ring) add(e Event) {
	if len(r.events) < cap(r.events) {
		r.events = append(r.events, e)
		return
	}
	if len(r.events) > 0 {
		r.events[r.next] = e
		r.next = (r.next + 1) % len(r.events)
	}
}

// all returns the events, oldest first.
func (r *ring) all() []Event {
	return slices.Concat(r.events[r.next:], r.events[:r.next])
}
