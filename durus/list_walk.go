package durus

// listWalk is an iterator over a list.
type listWalk[V any] struct {
	listUse[V]
	span int // index in state.spans of what was walked over, -1: none yet
}

// forward yields the list from the beginning.
func (w *listWalk[V]) forward(yield func(int, V) bool) error {
	if w.state == nil && w.c.conn == nil {
		return w.scan(yield)
	}
	w.span = -1
	for i := 0; ; i++ {
		v, more, err := w.at(i, 1)
		if err != nil || !more || !yield(i, v) {
			return err
		}
	}
}

// backward yields the list from the end.
func (w *listWalk[V]) backward(yield func(int, V) bool) error {
	w.span = -1
	var n int
	var err error
	if w.state != nil {
		n, err = w.state.len()
	} else {
		n, err = w.listReader.len()
	}
	if err != nil {
		return err
	}
	for i := n - 1; i >= 0; i-- {
		v, more, err := w.at(i, -1)
		if err != nil {
			return err
		}
		if !more {
			continue // the loop has taken it away
		}
		if !yield(i, v) {
			return nil
		}
	}
	return nil
}

// at returns the value at an index, for a walk in a direction.
func (w *listWalk[V]) at(i, direction int) (v V, more bool, err error) {
	if err := w.goOn(); err != nil {
		return v, false, err
	}
	var p *V
	index := -1
	if w.state != nil {
		p, index, err = w.state.look(i)
	} else {
		p, err = w.listReader.get(i)
	}
	if err != nil {
		return v, false, err
	}
	if p == nil {
		if w.state != nil {
			w.state.readLength()
		}
		return v, false, nil
	}
	if index >= 0 {
		w.walked(index, direction)
	}
	return *p, true, nil
}

// goOn is for what the body of the loop may have done to the session; see
// treeWalk.goOn.
func (w *listWalk[V]) goOn() error {
	if err := w.c.usable(); err != nil || w.c.conn == nil {
		return err
	}
	if err := w.c.conn.look(); err != nil {
		return err
	}
	if w.state == nil || w.c.containers[w.oid] == pending(w.state) {
		return nil
	}
	w.span = -1
	return w.bind(w.oid)
}

// walked enters an index of the stored list into the read set.
func (w *listWalk[V]) walked(i, direction int) {
	spans := w.state.spans
	if w.span >= 0 && spans[w.span].at == w.c.snap {
		switch s := &spans[w.span]; {
		case direction > 0 && s.to == i:
			s.to++
			return
		case direction < 0 && s.from == i+1:
			s.from--
			return
		}
	}
	w.span = len(spans)
	w.state.spans = append(spans, listSpan{i, i + 1, w.c.observe()})
}

// scan is forward in a session whose snapshot does not change and that writes
// nothing: leaf by leaf.
func (w *listWalk[V]) scan(yield func(int, V) bool) error {
	for i := 0; i >= 0; {
		if w.c.over.Load() {
			return ErrTxDone
		}
		p, err := w.descend(i)
		if w.c.over.Load() { // meanwhile
			return ErrTxDone
		}
		if err != nil {
			return err
		}
		if err := w.c.ctx.Err(); err != nil {
			return err
		}
		for k := range p.leaf.vals {
			if !yield(p.start+k, p.leaf.vals[k]) {
				return nil
			}
		}
		i = p.next
	}
	return nil
}
