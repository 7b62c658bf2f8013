package durus

import (
	"iter"

	"github.com/durusdb/durus/internal/collection"
)

// Union yields, in order, the keys that are in a or in b. It is an iterator as
// Set.All is.
func Union[K comparable](s Session, a, b Set[K]) iter.Seq[K] {
	return combine(s, a, b, true, true, true)
}

// Intersection yields, in order, the keys that are in both sets. It passes over
// what cannot be in it without reading it: two sets that overlap little cost
// little.
func Intersection[K comparable](s Session, a, b Set[K]) iter.Seq[K] {
	return combine(s, a, b, false, true, false)
}

// Difference yields, in order, the keys that are in a and not in b.
func Difference[K comparable](s Session, a, b Set[K]) iter.Seq[K] {
	return combine(s, a, b, true, false, false)
}

// combine walks over two sets at the same time and yields the keys that are only
// in a, in both, or only in b. Keys that are of no use are leapt over.
func combine[K comparable](s Session, a, b Set[K], onlyA, both, onlyB bool) iter.Seq[K] {
	return func(yield func(K) bool) {
		if err := merge(s, a, b, func(k K, inA, inB bool) bool {
			if inA && inB && !both || !inB && !onlyA || !inA && !onlyB {
				return true
			}
			return yield(k)
		}, !onlyA, !onlyB); err != nil {
			s.core().stick(err)
		}
	}
}

// merge calls f for the keys of two sets in order, with where they are. With
// leapA the keys that are only in a may be left out, likewise b.
func merge[K comparable](s Session, a, b Set[K], f func(k K, inA, inB bool) bool, leapA, leapB bool) error {
	ta, err := openTree[K, struct{}](s, a.raw, collection.ClassSet)
	if err != nil {
		return err
	}
	tb, err := openTree[K, struct{}](s, b.raw, collection.ClassSet)
	if err != nil {
		return err
	}
	wa, wb := ta.walk(bounds[K]{}), tb.walk(bounds[K]{})
	ka, _, err := wa.next()
	if err != nil {
		return err
	}
	kb, _, err := wb.next()
	for err == nil && ta.after(nil) == nil && (ka != nil || kb != nil) {
		o := -1
		switch {
		case ka == nil:
			o = 1
		case kb != nil:
			o = wa.order(ka, kb)
		}
		k := kb
		if o <= 0 {
			k = ka
		}
		if ka == nil && leapB || kb == nil && leapA {
			return nil // nothing that follows is of use
		}
		if !f(*k, o <= 0, o >= 0) {
			return nil
		}
		if o <= 0 {
			if o < 0 && leapA {
				wa = wa.leap(kb)
			}
			if ka, _, err = wa.next(); err != nil {
				return err
			}
		}
		if o >= 0 {
			if o > 0 && leapB {
				wb = wb.leap(ka)
			}
			kb, _, err = wb.next()
		}
	}
	return ta.after(err)
}

// leap returns a walk from a key on, in place of w.
func (w *treeWalk[K, V]) leap(to *K) *treeWalk[K, V] {
	if l := w.path.leaf; l != nil && w.i < len(l.keys) && w.order(&l.keys[w.i], to) >= 0 {
		return w // it is the next one
	}
	key := *to
	return &treeWalk[K, V]{treeReader: w.treeReader, state: w.state, bounds: bounds[K]{start: &key}, leapt: true}
}
