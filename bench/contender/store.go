package contender

import (
	"errors"
	"fmt"
	"time"
)

// Store is an open database. It is safe for concurrent use.
type Store interface {
	// Put stores objects, new ones or over old ones, in one transaction.
	Put(items []Item) error

	// Read passes the objects of ids to use, from one consistent state. An
	// object is valid until use returns.
	Read(ids []int64, use func(*Item) error) error

	// Update reads the objects of ids, changes and writes them, in one
	// serializable transaction, which is run again after a conflict.
	Update(ids []int64, change func(*Item)) error

	// Empty commits a write transaction that has written nothing.
	Empty() error

	Close() error
}

// Allocator is a Store with a way to get new ids that no other process gets.
type Allocator interface {
	NewIDs(n int) error
}

// Tree is a Store with an ordered map from ids to numbers beside its objects;
// for key-value stores the objects themselves are one.
type Tree interface {
	PutKeys(ids []int64) error
	FindKeys(ids []int64) error // ErrGone if one is not there
}

// Counter is a Store with counters whose adders do not conflict.
type Counter interface {
	AddToCounter(delta int64) error
	CounterValue() (int64, error)
}

// Referrer is a Store whose program holds references to objects, not keys.
type Referrer interface {
	// Refer looks the references of ids up, without reading an object. The
	// function that it returns reads all of them, in order, from one state.
	Refer(ids []int64) (func(use func(*Item) error) error, error)
}

// Packer is a Store that can be made as small as what is in it while others use it.
type Packer interface {
	Pack() (Packed, error)
}

// Packed says what Pack did.
type Packed struct {
	Objects uint64        // that were kept
	Bytes   int64         // of the new file
	Took    time.Duration // all of it
	Lock    time.Duration // longest time for which commits had to wait
}

// Options of Open.
type Options struct {
	Durable bool // Put, Update return after the transaction is on the disk

	// Known objects 0 <= id < Known are there: durus looks their references up
	// once, as a program holds references and not keys.
	Known int64
}

// Contender is one of the databases.
type Contender struct {
	Name      string
	Skip      string // not empty: why it cannot take part here
	Processes bool   // several processes may write one database at once
	Open      func(path string, o Options) (Store, error)
}

// ErrGone is a Read or Update of an object that is not there.
var ErrGone = errors.New("object not found")

func gone(id int64) error { return fmt.Errorf("object %d: %w", id, ErrGone) }

// All contenders, durus first.
func All() []Contender {
	return append([]Contender{{Name: "durus", Processes: true, Open: openDurus}}, peers()...)
}

// ByName returns the contender of that name.
func ByName(name string) (Contender, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	return Contender{}, fmt.Errorf("no contender is called %q", name)
}
