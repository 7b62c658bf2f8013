package trace

import (
	"fmt"
	"strings"
	"sync/atomic"
	"text/tabwriter"

	"github.com/durusdb/durus/vfs/wrap"
)

// Count is what has been asked by operations of one kind.
type Count struct {
	Calls  int64 // answered, whatever the answer was
	Again  int64 // of them with vfs.ErrAgain
	Errors int64 // of them with another error than io.EOF
	Bytes  int64 // read or written
}

// counter is a Count that many add to. Who reads it meanwhile may find a call
// in one of the numbers and not yet in another.
type counter struct{ calls, again, errors, bytes atomic.Int64 }

func (n *counter) add(c *wrap.Call) {
	n.calls.Add(1)
	switch {
	case c.Err == nil:
	case c.Again():
		n.again.Add(1)
	case failed(c):
		n.errors.Add(1)
	}
	if c.N > 0 && transfers.Has(c.Op) {
		n.bytes.Add(int64(c.N))
	}
}

func (n *counter) count() Count {
	return Count{n.calls.Load(), n.again.Load(), n.errors.Load(), n.bytes.Load()}
}

func (n *counter) reset() {
	n.calls.Store(0)
	n.again.Store(0)
	n.errors.Store(0)
	n.bytes.Store(0)
}

// Counts returns what has been asked since New or Reset, by operation. Those
// that nobody has asked for are not there.
func (f *FS) Counts() map[wrap.Op]Count {
	m := map[wrap.Op]Count{}
	for i := range f.counters {
		if n := f.counters[i].count(); n != (Count{}) {
			m[1<<i] = n
		}
	}
	return m
}

// Calls is how many calls there have been of a set of operations.
func (f *FS) Calls(ops wrap.Op) (n int64) {
	for i := range f.counters {
		if ops.Has(1 << i) {
			n += f.counters[i].calls.Load()
		}
	}
	return n
}

// String is a table of the counts.
func (f *FS) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "operation\tcalls\tagain\terrors\tbytes\t")
	for i := range f.counters {
		if n := f.counters[i].count(); n != (Count{}) {
			fmt.Fprintf(w, "%v\t%d\t%d\t%d\t%d\t\n", wrap.Op(1<<i), n.Calls, n.Again, n.Errors, n.Bytes)
		}
	}
	_ = w.Flush() // into memory
	return b.String()
}
