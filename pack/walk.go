package pack

import (
	"context"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
)

// walk finds and copies what can be reached, depth first. An object is found
// once (seen), and copied when it comes off the stack. The stack is bounded:
// what does not fit waits as a bit (left) until the stack is empty. So memory is
// two bits an object at most, whatever the graph looks like.
type walk struct {
	ctx   context.Context
	p     *filestorage.Packing
	tally *tally
	pace  *pace

	seen  bitmap
	left  bitmap
	some  bool // left is not empty
	stack []filestorage.Next
	refs  []storage.OID
}

const maxStack = 1 << 17 // 3 MiB

// from walks from one object, unless it was found before.
func (w *walk) from(referrer, oid storage.OID) error {
	if !w.seen.set(oid) {
		w.push(filestorage.Next{OID: oid, From: referrer})
	} else {
		return nil
	}
	for {
		for len(w.stack) > 0 {
			if err := w.p.Expect(w.stack); err != nil {
				return err
			}
			next := w.stack[len(w.stack)-1]
			w.stack = w.stack[:len(w.stack)-1]
			if err := w.visit(next); err != nil {
				return err
			}
		}
		if !w.some {
			return nil
		}
		oid, ok := w.left.any()
		if w.some = ok; ok {
			w.push(filestorage.Next{OID: oid})
		}
	}
}

func (w *walk) push(next filestorage.Next) {
	if len(w.stack) == maxStack {
		w.left.set(next.OID)
		w.some = true
		return
	}
	w.stack = append(w.stack, next)
}

func (w *walk) visit(next filestorage.Next) error {
	k, ok, err := w.p.Keep(next, w.refs)
	if err != nil {
		return err
	}
	if !ok {
		w.tally.dangling(next.From, next.OID)
		return nil
	}
	w.refs = k.Strong
	w.tally.keep(k.Class, k.Size, true)
	// The first reference is to be copied first, so it goes on top.
	for i := len(k.Strong) - 1; i >= 0; i-- {
		if to := k.Strong[i]; !w.seen.set(to) {
			w.push(filestorage.Next{OID: to, From: next.OID})
		}
	}
	return w.pace.step(w.ctx, Copying, w.p)
}
