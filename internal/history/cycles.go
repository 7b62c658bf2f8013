package history

import (
	"fmt"
	"slices"
)

// Cycles checks a history by itself: it looks neither at the log nor at
// transaction ids. From values it infers which transaction must have come
// before which; where the inferences, together with real time, run in a
// circle, there is no serial order. It finds direct contradictions on the way.
// Its time is linear in the history, but for sorting.
//
// The order of writes is known as far as reads tell it: for lists that are
// appended to, up to their longest read (end a run with a client that reads
// everything); for registers, where a transaction reads before it writes.
func Cycles(txns []Txn, opts Options) *Report {
	r := &Report{Checker: "cycles"}
	r.count(txns, opts.Require)
	o := observe(txns, opts, r)
	g := &graph{nodes: len(txns), edges: make([]edge, 0, 8*len(txns))}
	o.inferLists(g)
	o.inferRegisters(g)
	orderByTime(g, txns, opts.RelaxReaders)
	g.index()
	for i, members := range g.components(nil, allEdges) {
		if i == maxAnomalies {
			break
		}
		if a, ok := g.explain(members, txns); ok {
			r.add(a)
		}
	}
	return r
}

// inferLists adds what reads of lists tell.
func (o *observations) inferLists(g *graph) {
	for key, l := range o.lists {
		last := -1
		for _, w := range l.txns {
			if last >= 0 && w >= 0 && w != last {
				g.add(last, w, ww, key)
			}
			if w >= 0 {
				last = w
			}
		}
		l.link(g, key, last)
	}
	for i := range o.txns {
		t := &o.txns[i]
		if t.Outcome != OK {
			continue
		}
		accesses, _ := o.walker.walk(t)
		for k := range accesses {
			if a := &accesses[k]; a.read && o.lists[a.key] != nil {
				o.inferRead(g, i, a, o.lists[a.key])
			}
		}
	}
}

// link puts a node of no transaction between the longest read of a list and
// the writers that no read shows, so that many readers and many writers need
// few edges. The edges behind it count as nothing by themselves.
func (l *list) link(g *graph, key int64, last int) {
	if len(l.unseen) == 0 {
		return
	}
	l.end = g.node()
	for _, w := range l.unseen {
		g.add(l.end, w, via, key)
	}
	if last >= 0 && !slices.Contains(l.unseen, last) {
		g.add(last, l.end, ww, key)
	}
}

// inferRead adds what one read of a list tells.
func (o *observations) inferRead(g *graph, reader int, a *access, l *list) {
	n := len(a.state)
	if n > len(l.longest) || !slices.Equal(a.state, l.longest[:n]) {
		if o.checkValues(a.key, a.state, reader) {
			o.add(Anomaly{Name: Incompatible, Key: a.key, Txns: []ID{o.txns[reader].ID},
				Detail: fmt.Sprintf("it read %s, which is not the beginning of the longest read %s", brief(a.state), brief(l.longest))})
		}
		return
	}
	if n > 0 {
		if w := l.txns[n-1]; w >= 0 && w != reader {
			o.checkFinal(a.key, a.state[n-1], reader)
			g.add(w, reader, wr, a.key)
		}
	}
	if n < len(l.longest) {
		if w := l.txns[n]; w >= 0 && w != reader {
			g.add(reader, w, rw, a.key)
		}
		return
	}
	at, mine := slices.BinarySearch(l.unseen, reader)
	switch {
	case len(l.unseen) == 0:
	case !mine:
		g.add(reader, l.end, rw, a.key)
	default:
		// Not through the node: its own write is behind it. Its neighbours are
		// enough; all of them would be too many when every update is lost.
		if at > 0 {
			g.add(reader, l.unseen[at-1], rw, a.key)
		}
		if at+1 < len(l.unseen) {
			g.add(reader, l.unseen[at+1], rw, a.key)
		}
	}
}

// checkFinal: a value that others read was the last that its writer wrote there.
func (o *observations) checkFinal(key, v int64, reader int) {
	if w := o.writers[v]; !w.final {
		o.add(Anomaly{Name: G1b, Class: string(G1b), Key: key, Txns: []ID{o.txns[reader].ID, o.txns[w.txn].ID},
			Detail: fmt.Sprintf("value %d was written over by its own transaction", v)})
	}
}

// inferRegisters adds what reads of registers tell. Who read a state and wrote
// the key has written the next one.
func (o *observations) inferRegisters(g *graph) {
	type reader struct {
		txn   int
		of    *writer
		state []int64
	}
	var readers []reader
	first := make(map[int64]*writer) // by key: who wrote the state from before the history
	for i := range o.txns {
		t := &o.txns[i]
		if t.Outcome != OK {
			continue
		}
		accesses, _ := o.walker.walk(t)
		for k := range accesses {
			a := &accesses[k]
			if o.lists[a.key] != nil {
				continue
			}
			if a.wrote && a.known && len(a.own) == 0 {
				o.writers[a.last].left = a.base
			}
			if !a.read {
				continue
			}
			of := first[a.key]
			if n := len(a.state); n > 0 && !slices.Equal(a.state, o.initial[a.key]) {
				if of = o.writers[a.state[n-1]]; !o.checkValue(a.key, a.state[n-1], i) {
					continue
				}
			} else if of == nil {
				of = &writer{txn: -1, key: a.key, final: true}
				first[a.key] = of
			}
			readers = append(readers, reader{i, of, a.state})
			if a.wrote {
				of.follow(i, o)
			}
		}
	}
	for _, r := range readers {
		if r.of.txn >= 0 && r.of.txn != r.txn {
			o.checkFinal(r.of.key, lastOf(r.state), r.txn)
			if r.of.left != nil && !slices.Equal(r.of.left, r.state) {
				o.add(Anomaly{Name: Garbage, Key: r.of.key, Txns: []ID{o.txns[r.txn].ID, o.txns[r.of.txn].ID},
					Detail: fmt.Sprintf("it read %v where %v was written", r.state, r.of.left)})
			}
			g.add(r.of.txn, r.txn, wr, r.of.key)
		}
		r.of.order(g, r.txn)
	}
}

// maxMore limits the edges in a history in which every update is lost.
const maxMore = 8

// follow takes down that a transaction read the state and wrote the next one.
func (w *writer) follow(txn int, o *observations) {
	if w.next == 0 {
		w.next = txn + 1
		return
	}
	if len(w.more) < maxMore {
		w.more = append(w.more, txn)
	}
	o.add(Anomaly{Name: LostUpdate, Class: string(GSingle), Key: w.key, Txns: []ID{o.txns[w.next-1].ID, o.txns[txn].ID},
		Detail: "both read the same state and wrote the key"})
}

// order puts a reader of the state before those who wrote the next one, and
// them behind the writer.
func (w *writer) order(g *graph, reader int) {
	if w.next == 0 {
		return
	}
	for i := -1; i < len(w.more); i++ {
		next := w.next - 1
		if i >= 0 {
			next = w.more[i]
		}
		switch {
		case next != reader:
			g.add(reader, next, rw, w.key)
		case w.txn >= 0 && w.txn != reader:
			g.add(w.txn, reader, ww, w.key)
		}
	}
}

// orderByTime adds the order of real time: all that returned before a call
// comes before it. One node stands for all returns between two calls, so the
// edges are few.
func orderByTime(g *graph, txns []Txn, relax bool) {
	type incarnation struct{ process, number int }
	previous := make(map[incarnation]int) // last transaction of a session that returned
	barrier := -1
	var returned []int // since the barrier
	for _, m := range moments(txns) {
		t := &txns[m.txn]
		inc := incarnation{t.Process, t.Incarnation}
		txn := int(m.txn)
		if m.ret {
			previous[inc] = txn
			if !relax || t.Writes() {
				returned = append(returned, txn)
			}
			continue
		}
		if last, ok := previous[inc]; ok {
			g.add(last, txn, process, 0)
		}
		if len(returned) > 0 {
			b := g.node()
			for _, r := range returned {
				g.add(r, b, realtime, 0)
			}
			if barrier >= 0 {
				g.add(barrier, b, realtime, 0)
			}
			barrier, returned = b, returned[:0]
		}
		if barrier >= 0 {
			g.add(barrier, txn, realtime, 0)
		}
	}
}
