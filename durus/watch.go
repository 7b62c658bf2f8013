package durus

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/durusdb/durus/storage"
)

// Change is a transaction that was committed, and what it has changed.
type Change struct {
	// TxInfo tells of the transaction. Of a container that it has changed OIDs
	// holds the container's id and none of those of its inner nodes.
	TxInfo

	// Classes are those of the objects: Classes[i] is the class of OIDs[i], under
	// the name by which this program registered it, without version. It is ""
	// where the object is damaged.
	Classes []string
}

// Watch yields the transactions of all processes behind the transaction after,
// in the order of their commits, whole, each once: first those that are there,
// then, for as long as the loop runs, each as soon as it is durable. after is a
// transaction that the file holds: Change.TID of one that was seen, also by
// another process long ago, Tx.Snapshot of the state that a program has read, or
// DB.LastTID; 0 begins with the first one. So who keeps the TID of the last
// change that he has dealt with goes on behind it after a restart, and misses
// and repeats nothing, whatever packs there were meanwhile.
//
//	for c, err := range db.Watch(ctx, after) {
//		if err != nil {
//			return err // why it ended
//		}
//		// look at c
//		after = c.TID
//	}
//
// The last pair has an empty Change and carries the reason why the loop ended:
// that of ctx; ErrClosed when the database is closed, which does not wait for the
// loop; ErrPacked when transactions behind after were packed away, at the begin or
// while the loop slept: read the whole state in a View, and watch from that
// (Tx.Snapshot); ErrRewound when the file does not hold the transaction after, or
// was restored or replaced: the same helps; ErrCorrupt; errors of reading.
//
// The body of the loop takes as long as it likes, and may use the database as it
// likes: between two changes Watch holds no state, no lock and no memory, and
// reads on from the file when the next one is asked for. A handle may have many
// loops, which share what wakes them; while nothing is committed they hardly run.
func (db *DB) Watch(ctx context.Context, after TID) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		cursor, err := db.follow(after)
		if err != nil {
			yield(Change{}, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(db.life, cancel)()
		defer cursor.Close()
		for {
			c, err := db.next(ctx, cursor)
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

func (db *DB) follow(after TID) (storage.Cursor, error) {
	if err := db.running.open(); err != nil {
		return nil, err
	}
	feed, ok := db.st.(storage.Feed)
	if !ok {
		return nil, fmt.Errorf("durus: the storage of %s cannot be watched: %w", db.path, errors.ErrUnsupported)
	}
	return feed.Follow(after), nil
}

// next waits for a change. What it holds while it looks at one is given back
// before the program gets it.
func (db *DB) next(ctx context.Context, cursor storage.Cursor) (Change, error) {
	w, err := cursor.Next(ctx)
	if err != nil && db.life.Err() != nil { // which is what has ended ctx
		err = fmt.Errorf("%w: %s", ErrClosed, db.path)
	}
	if err != nil {
		return Change{}, err
	}
	defer w.State.Release()
	r := changeReader{db: db, gen: db.generation(w.State), w: w}
	return r.read()
}
