package durus

import (
	"fmt"
	"maps"
	"slices"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// pack implements pending.
func (p *listPending[V]) pack(c *core, w *codec.Writer) error {
	p.splices, p.bases, p.tail = nil, nil, nil
	var store arena
	encode := func(values []V, extra codec.Extra) ([][]byte, error) {
		out := make([][]byte, len(values))
		for i := range values {
			mark := len(w.Buf)
			if err := p.typ.values.one.Encode(w, &values[i], extra); err != nil {
				return nil, fmt.Errorf("a value: %w", err)
			}
			out[i] = store.bytes(w.Buf[mark:])
			w.Buf = w.Buf[:mark]
		}
		return out, nil
	}
	var err error
	if p.pieces == nil {
		for _, i := range slices.Sorted(maps.Keys(p.sets)) {
			s := p.sets[i]
			var extra codec.Extra
			if p.typ.values.fields && !p.fresh && !s.whole {
				if extra, err = p.extra(i); err != nil {
					return err
				}
			}
			v, err := encode([]V{s.value}, extra)
			if err != nil {
				return err
			}
			p.splices, p.bases = append(p.splices, collection.Splice{At: i, Delete: 1, Insert: v}), append(p.bases, s.at)
		}
		p.tail, err = encode(p.appended, nil)
		return err
	}
	at := 0
	var own [][]byte
	splice := func(to int) {
		if to > at || len(own) > 0 {
			p.splices, p.bases = append(p.splices, collection.Splice{At: at, Delete: to - at, Insert: own}), append(p.bases, p.base)
		}
		own = nil
	}
	for i := range p.pieces {
		q := &p.pieces[i]
		if q.own != nil {
			v, err := encode(q.own, nil)
			if err != nil {
				return err
			}
			own = append(own, v...)
			continue
		}
		splice(q.from)
		at = q.from + q.n
	}
	splice(p.stored)
	return nil
}

func (p *listPending[V]) list() *collection.List {
	return &collection.List{OID: uint64(p.container.oid), Fresh: p.fresh}
}

// build implements pending.
func (p *listPending[V]) build(b *collection.Builder) error {
	return p.list().Apply(b, p.splices, p.tail)
}

// check implements pending.
func (p *listPending[V]) check(c *core, now *nodeStore, reads bool) (reason string, at OID, err error) {
	if p.fresh {
		return "", 0, nil
	}
	list := p.list()
	is := collection.ListView{List: list, Store: now}
	was := func(snap storage.Snapshot) collection.ListView {
		return collection.ListView{List: list, Store: c.store(snap, nil)}
	}
	for i, s := range p.splices {
		if p.pieces == nil {
			same, err := collection.SameOrEqual(was(p.bases[i]), is, s)
			if err != nil {
				return "", 0, err
			}
			if !same {
				return fmt.Sprintf("both set index %d", s.At), p.container.oid, nil
			}
			continue
		}
		// Values were moved: everything behind must be where it was.
		_, differ, err := collection.DifferList(was(p.bases[i]), is, s.At, p.stored)
		if err != nil {
			return "", 0, err
		}
		if !differ && s.At == p.stored {
			// Nothing is behind, but the end must not have come nearer.
			n, err := is.Len()
			if err != nil {
				return "", 0, err
			}
			differ = n < p.stored
		}
		if differ {
			return "values in it were moved", p.container.oid, nil
		}
		break
	}
	if !reads {
		return "", 0, nil
	}
	if p.torn {
		return "an index was read, and read again after it had changed", p.container.oid, nil
	}
	for i, snap := range p.reads {
		_, differ, err := collection.DifferList(was(snap), is, i, i+1)
		if err != nil {
			return "", 0, err
		}
		if differ {
			return fmt.Sprintf("index %d was read", i), p.container.oid, nil
		}
	}
	for _, s := range p.spans {
		i, differ, err := collection.DifferList(was(s.at), is, s.from, s.to)
		if err != nil {
			return "", 0, err
		}
		if differ {
			return fmt.Sprintf("a range with index %d was read", i), p.container.oid, nil
		}
	}
	for _, snap := range p.lengths {
		before, err := was(snap).Len()
		if err != nil {
			return "", 0, err
		}
		after, err := is.Len()
		if err != nil {
			return "", 0, err
		}
		if before != after {
			return "its length was read", p.container.oid, nil
		}
	}
	return "", 0, nil
}
