package realdisk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// Half is one of the two objects that each transaction of a process changes.
// Both have the number of that transaction, and the left one bytes that depend
// on it.
type Half struct {
	N    int64
	Fill []byte
}

// Sum is what all processes change: the sum of the numbers of their newest
// transactions.
type Sum struct{ Of int64 }

var (
	_ = durus.Register[Half]("realdisk.Half")
	_ = durus.Register[Sum]("realdisk.Sum")

	left, right = halves("left"), halves("right")
	sum         = durus.NewRoot[Sum]("sum")
)

// processes is how many may work on a database. Number 0 is the test itself.
const processes = 4

func halves(side string) (roots [processes]durus.Root[Half]) {
	for p := range roots {
		roots[p] = durus.NewRoot[Half](fmt.Sprintf("%s-%d", side, p))
	}
	return roots
}

// bulk is what the left half of transaction n holds: every third is big.
func bulk(n int64) []byte {
	size := 20
	if n%3 == 2 {
		size = 9 << 10
	}
	return bytes.Repeat(fmt.Appendf(nil, "%08x", n), size/8)
}

// transact commits transaction n of process p. The numbers of a process grow.
func transact(db *durus.DB, p int, n int64) (tid durus.TID, err error) {
	err = db.Update(background, func(tx *durus.Tx) error {
		tx.Describe(fmt.Sprint(p), fmt.Sprint(n), nil)
		tx.OnCommit(func(t durus.TID) { tid = t })
		l, err := left[p].Edit(tx)
		if err != nil {
			return err
		}
		r, err := right[p].Edit(tx)
		if err != nil {
			return err
		}
		s, err := sum.Edit(tx)
		if err != nil {
			return err
		}
		s.Of += n - l.N
		l.N, l.Fill = n, bulk(n)
		r.N, r.Fill = n, nil
		return nil
	})
	return tid, err
}

// state is what a View shows: the newest transaction of each process.
type state [processes]int64

// look returns the state, or what is wrong with it. It writes nothing, and
// roots that are not there yet read as zeros.
func look(db *durus.DB) (at state, tid durus.TID, err error) {
	err = db.View(background, func(tx *durus.Tx) error {
		tid = tx.Snapshot()
		total := int64(0)
		for p := range processes {
			l, err := left[p].Load(tx)
			if err != nil {
				return err
			}
			r, err := right[p].Load(tx)
			if err != nil {
				return err
			}
			switch {
			case l.N != r.N:
				return fmt.Errorf("%w: process %d has %d on the left and %d on the right", errTorn, p, l.N, r.N)
			case l.N != 0 && !bytes.Equal(l.Fill, bulk(l.N)):
				return fmt.Errorf("%w: process %d: the bytes are not those of transaction %d", errTorn, p, l.N)
			}
			at[p] = l.N
			total += l.N
		}
		s, err := sum.Load(tx)
		if err == nil && s.Of != total {
			err = fmt.Errorf("%w: the sum is %d and says %d", errTorn, total, s.Of)
		}
		return err
	})
	return at, tid, err
}

var errTorn = errors.New("a transaction is there in part")

// commitTask is what a child does that commits: it says "ready", waits for a
// line if it is told to, and commits transactions First, First+1 ... until
// there are Count, or its standard input ends. What it says of them is read by
// account.
type commitTask struct {
	Path    string
	Process int
	First   int64
	Count   int64 // 0: until one fails
	Wait    bool
	Record  bool          // tell descriptor 3 what is done to the files
	Pause   time.Duration // between transactions
	Options durus.Options
}

func runCommit(task commitTask) error {
	task.Options.Check = durus.CheckNothing
	if task.Record {
		task.Options.FS = recordingFS()
	}
	db, err := openTwice(task.Path, &task.Options)
	if err != nil {
		return tell("closed: %v", err)
	}
	in := bufio.NewReader(os.Stdin)
	if err := tell("ready"); err != nil {
		return err
	}
	if task.Wait {
		if _, err := in.ReadString('\n'); err != nil {
			return err
		}
	}
	over := ended(in)
	for n := task.First; !over.Load() && (task.Count == 0 || n < task.First+task.Count); n++ {
		if err := tell("begin %d", n); err != nil {
			return err
		}
		_, err := transact(db, task.Process, n)
		if err := tell("%s %d %d: %s", verdict(err), n, monotonic(), oneLine(err)); err != nil {
			return err
		}
		if err != nil && task.Count == 0 {
			break
		}
		time.Sleep(task.Pause)
	}
	return tell("closed: %s", oneLine(db.Close()))
}

// recordingFS tells descriptor 3 what is done to the files.
func recordingFS() vfs.FS { return newRecorder(posix.New(), os.NewFile(3, "recording")) }

// openTwice tries again once: faults are injected one at a time, and what
// was not possible then must be now.
func openTwice(path string, opts *durus.Options) (*durus.DB, error) {
	db, err := durus.Open(path, opts)
	if err != nil {
		if err := tell("open failed: %s", oneLine(err)); err != nil {
			return nil, err
		}
		db, err = durus.Open(path, opts)
	}
	return db, err
}

// ended becomes true when the input does.
func ended(in *bufio.Reader) *atomic.Bool {
	over := new(atomic.Bool)
	go func() {
		_, _ = in.WriteTo(discard{}) // any end is the end
		over.Store(true)
	}()
	return over
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// verdict is the one word for what Update said.
func verdict(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, durus.ErrUnknownOutcome):
		return "unknown"
	case errors.Is(err, durus.ErrLocked):
		return "locked"
	case errors.Is(err, syscall.ENOSPC):
		return "full"
	}
	return "failed"
}

func oneLine(err error) string {
	if err == nil {
		return "well"
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// watchTask is what a child does that looks: it says each state that is new,
// with the time, until its input ends, and looks once more.
type watchTask struct {
	Path     string
	ReadOnly bool
	Record   bool // tell descriptor 3 what is done to the files
}

func runWatch(task watchTask) error {
	opts := durus.Options{ReadOnly: task.ReadOnly, MustExist: true, Check: durus.CheckNothing}
	if task.Record {
		opts.FS = recordingFS()
	}
	db, err := durus.Open(task.Path, &opts)
	if err != nil {
		return err
	}
	if err := tell("ready"); err != nil {
		return err
	}
	var last state
	over := ended(bufio.NewReader(os.Stdin))
	for once := false; !once; time.Sleep(200 * time.Microsecond) {
		once = over.Load() // then this look is the last
		at, _, err := look(db)
		switch {
		case err != nil:
			if err := tell("blind: %s", oneLine(err)); err != nil {
				return err
			}
		case at != last:
			if err := tell("saw %d %s", monotonic(), strings.Trim(fmt.Sprint(at), "[]")); err != nil {
				return err
			}
			last = at
		}
	}
	return db.Close()
}
