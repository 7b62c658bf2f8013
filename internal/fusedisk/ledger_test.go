//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/durusdb/durus/durus"
)

// Writers write pages of a ledger. The nth transaction of a writer is the same
// whenever it is made: so what a database must hold follows from how many
// transactions of each writer are in it, and one that is there in part shows.

// maxWriters is how many pages a ledger has. The last is the judges'.
const maxWriters = 8

const judge = maxWriters - 1

// Page is what one writer has done.
type Page struct {
	Done  int // transactions
	Slots []durus.Ref[Slot]
}

// Slot is one of the objects that a writer rewrites.
type Slot struct {
	Last int // the transaction that wrote it
	Fill []byte
}

// Tally is an object for which writers fight.
type Tally struct {
	Last [maxWriters]int // the transaction of each writer that changed it last
}

const slots = 4

var (
	_ = durus.Register[Page]("fusedisk.Page")
	_ = durus.Register[Slot]("fusedisk.Slot")
	_ = durus.Register[Tally]("fusedisk.Tally")

	tally = durus.NewRoot[Tally]("tally")
	pages = func() (all [maxWriters]durus.Root[Page]) {
		for i := range all {
			all[i] = durus.NewRoot[Page]("page-" + strconv.Itoa(i))
		}
		return all
	}()
)

// tallies tells which transactions change the tally.
func tallies(n int) bool { return n%3 == 1 }

// cookie is in what every transaction writes, and in no metadata of a file
// system.
const cookie = "<durus ledger slot>"

// fills returns what transaction n of a writer puts into its slots; nil: the
// slot stays as it is. At least one is written.
func fills(writer, n int) (fill [slots][]byte) {
	rnd := rand.New(rand.NewPCG(uint64(writer), uint64(n)))
	for i := range 1 + rnd.IntN(slots) {
		size := 40 + rnd.IntN(400)
		switch rnd.IntN(16) {
		case 0:
			size = 9000 + rnd.IntN(4000)
		case 1:
			size = 60000 + rnd.IntN(10000)
		}
		words := fmt.Appendf(nil, "%s %d %d %d ", cookie, writer, n, i)
		fill[(n+i)%slots] = bytes.Repeat(words, size/len(words)+1)[:size]
	}
	return fill
}

// stepError says that a database did not hold what the writer had been told.
type stepError struct{ writer, want, found int }

func (e *stepError) Error() string {
	return fmt.Sprintf("writer %d has done %d transactions as far as it knows, and %d by its page", e.writer, e.want, e.found)
}

// step is transaction n of a writer, from 1 on.
func step(tx *durus.Tx, writer, n int) error {
	tx.Describe(strconv.Itoa(writer), strconv.Itoa(n), nil)
	page, err := pages[writer].Edit(tx)
	if err != nil {
		return err
	}
	if page.Done != n-1 {
		return &stepError{writer, n - 1, page.Done}
	}
	page.Done = n
	for i, fill := range fills(writer, n) {
		if n == 1 {
			ref, err := durus.Add(tx, &Slot{})
			if err != nil {
				return err
			}
			page.Slots = append(page.Slots, ref)
		}
		if fill == nil {
			continue
		}
		slot, err := page.Slots[i].Edit(tx)
		if err != nil {
			return err
		}
		slot.Last, slot.Fill = n, fill
	}
	if !tallies(n) {
		return nil
	}
	t, err := tally.Edit(tx)
	if err != nil {
		return err
	}
	t.Last[writer] = n
	return nil
}

// audit reads the whole ledger and returns how many transactions of each writer
// are in it. It is an error if one is there in part, or anything is there that
// nobody wrote.
func audit(s durus.Session) (done [maxWriters]int, err error) {
	t, err := tally.Load(s)
	if err != nil {
		return done, err
	}
	for w := range pages {
		page, err := pages[w].Load(s)
		if err != nil {
			return done, err
		}
		done[w] = page.Done
		var want [slots]Slot
		last := 0
		for n := 1; n <= page.Done; n++ {
			for i, fill := range fills(w, n) {
				if fill != nil {
					want[i] = Slot{n, fill}
				}
			}
			if tallies(n) {
				last = n
			}
		}
		if t.Last[w] != last {
			return done, fmt.Errorf("the tally says %d of writer %d, who did %d transactions: %d is right", t.Last[w], w, page.Done, last)
		}
		if len(page.Slots) != min(page.Done, 1)*slots {
			return done, fmt.Errorf("writer %d has %d slots after %d transactions", w, len(page.Slots), page.Done)
		}
		for i, ref := range page.Slots {
			slot, err := ref.Load(s)
			if err != nil {
				return done, err
			}
			if slot.Last != want[i].Last || !bytes.Equal(slot.Fill, want[i].Fill) {
				return done, fmt.Errorf("slot %d of writer %d, who did %d transactions, holds %.40q of transaction %d: that of %d is right",
					i, w, page.Done, slot.Fill, slot.Last, want[i].Last)
			}
		}
	}
	return done, nil
}
