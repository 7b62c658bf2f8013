package async

import "sync"

// notifier calls the callbacks of one file or writer. FS.mu guards all of it.
// Its methods want it to be held, but do, pick and finish: they run on the
// goroutine of FS.callers.
type notifier struct {
	fs     *FS
	fn     func()   // nil: none
	once   []func() // to be called once, before fn
	ready  bool     // fn is to be called
	missed bool     // something became ready while there was no fn
	due    bool     // it is in FS.due
	busy   bool     // a callback may be running
	called bool     // fn was picked since busy
	ended  bool     // nothing is called any more

	// fresh are the results that became ready since fn was called the last time,
	// told those of the call at hand. They cannot be dropped yet.
	fresh, told []*span

	quiet sync.Cond // signalled when busy ends, and when a change of the file does
}

// set is OnReady.
func (n *notifier) set(fn func()) {
	if n.ended {
		return
	}
	n.fn = fn
	if fn != nil && n.missed {
		n.missed = false
		n.ring()
	}
}

// ring has fn called: once for all that becomes ready before the call begins.
func (n *notifier) ring() {
	switch {
	case n.ended:
	case n.fn == nil:
		n.missed = true
		n.settle(&n.fresh)
	default:
		n.ready = true
		n.schedule()
	}
}

// schedule puts the notifier into the queue of the callers.
func (n *notifier) schedule() {
	if !n.due {
		n.due = true
		n.fs.due.push(n)
		n.fs.callers.call()
	}
}

// nextCall gives the caller a notifier that has something to call.
func (s *FS) nextCall(h *hand) job {
	if h.id == 0 {
		h.id = goroutine()
		s.caller = h.id
	}
	for !s.due.empty() {
		n := s.due.pop()
		n.due = false
		if n.ready || len(n.once) > 0 {
			n.begin()
			return n
		}
	}
	return nil
}

func (n *notifier) begin() { n.busy, n.called = true, false }

// do makes the calls that are due. Between two of them everything may change,
// the first may close the file.
func (n *notifier) do() {
	defer n.finish()
	for fn := n.pick(); fn != nil; fn = n.pick() {
		fn()
	}
}

// pick takes the next function to call, nil if there is none. What becomes
// ready while fn runs waits until others have had their turn.
func (n *notifier) pick() func() {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	if len(n.once) > 0 {
		fn := n.once[0]
		n.once = n.once[1:]
		return fn
	}
	if !n.ready || n.called {
		return nil
	}
	n.ready, n.called = false, true
	n.told, n.fresh = n.fresh, nil
	if n.fn == nil {
		n.missed = true
	}
	return n.fn
}

func (n *notifier) finish() {
	n.fs.mu.Lock()
	defer n.fs.mu.Unlock()
	n.busy = false
	n.settle(&n.told)
	n.quiet.Broadcast()
	if n.ready || len(n.once) > 0 {
		n.schedule()
	}
}

// settle lets results be dropped some time from now on: their owner knows.
func (n *notifier) settle(list *[]*span) {
	for _, s := range *list {
		n.fs.room.keep(s)
	}
	*list = nil
}

// end makes fn and once have no more calls.
func (n *notifier) end() {
	n.ended = true
	n.fn, n.once, n.ready, n.fresh = nil, nil, false, nil
}

// await waits until no callback is running, unless it is this goroutine that
// runs it, and until no longer holds. It gives the lock up meanwhile.
func (n *notifier) await(holds func() bool) {
	own := n.busy && goroutine() == n.fs.caller
	for n.busy && !own || holds() {
		n.quiet.Wait()
	}
}
