package async

import (
	"container/list"
	"sync"
	"time"
)

// patience is how long a result is not dropped after its owner was told of it,
// and how long bytes are good that were read ahead although they may change.
const patience = 500 * time.Millisecond

// room is the memory for reads that are under way and for what they have
// brought. FS.mu guards it.
//
// Reads that nobody has asked for may have one half of it, and give way to the
// others at any time: then whoever might have found them reads himself.
type room struct {
	mu    *sync.Mutex // FS.mu
	limit int64
	used  int64
	spec  int64  // of it, by reads that nobody had asked for when they began
	freed func() // is called when a read that was refused may have a chance

	// spare are done and nobody waits for them. What has served its purpose
	// stands in front, then what was used the longest time ago.
	spare list.List
	// kept are done and their owners have been told, in this order.
	kept    list.List
	blocked bool // a read was refused
	armed   bool // a timer is running, for the first of kept
}

// admit charges a read, if there is room or can be made.
func (r *room) admit(s *span) bool {
	need := s.cost()
	if !s.asked && need > r.limit/2 {
		return false
	}
	for now := time.Now(); !r.fits(need, !s.asked); {
		victim := r.victim(!s.asked, now)
		if victim == nil {
			if s.asked && r.used == r.spec {
				break // one may be too great for all of it
			}
			return false
		}
		victim.drop()
	}
	s.charged = need
	r.used += need
	if !s.asked {
		r.spec += need
	}
	return true
}

func (r *room) fits(need int64, spec bool) bool {
	return need <= r.limit-r.used && (!spec || need <= r.limit/2-r.spec)
}

// victim is what may be dropped first, nil if nothing may. What nobody has
// asked for drives out only what has served its purpose or is old.
func (r *room) victim(spec bool, now time.Time) *span {
	if e := r.spare.Front(); e != nil {
		if s := e.Value.(*span); !spec || s.spent() || s.expires.Before(now) {
			return s
		}
	}
	if e := r.kept.Front(); e != nil {
		if s := e.Value.(*span); s.expires.Before(now) {
			return s
		}
	}
	return nil
}

// refuse remembers that a read waits for room, and sees to it that it is tried
// again when the first result may be dropped. What else makes room calls freed.
func (r *room) refuse() {
	r.blocked = true
	e := r.kept.Front()
	if e == nil || r.armed {
		return
	}
	r.armed = true
	time.AfterFunc(time.Until(e.Value.(*span).expires)+time.Millisecond, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.armed = false
		r.retry()
	})
}

// retry lets a read that was refused be tried again.
func (r *room) retry() {
	if r.blocked {
		r.blocked = false
		r.freed()
	}
}

// release gives back what a read has.
func (r *room) release(s *span) {
	r.unlist(s)
	if s.charged == 0 {
		return
	}
	r.used -= s.charged
	if !s.asked {
		r.spec -= s.charged
	}
	s.charged = 0
	r.retry()
}

// unlist takes it out of spare and kept.
func (r *room) unlist(s *span) {
	if s.shelf != nil {
		s.shelf.Remove(s.place)
		s.shelf, s.place = nil, nil
	}
}

// keep lets a result that its owner knows of be dropped, but not soon.
func (r *room) keep(s *span) {
	if s.state != done || s.shelf != nil {
		return // collected or dropped already
	}
	s.expires = time.Now().Add(patience)
	s.shelf, s.place = &r.kept, r.kept.PushBack(s)
	r.retry()
}

// offer lets bytes that nobody waits for be dropped whenever room is needed.
func (r *room) offer(s *span) {
	r.unlist(s)
	s.shelf = &r.spare
	if s.spent() {
		s.place = r.spare.PushFront(s)
	} else {
		s.place = r.spare.PushBack(s)
	}
	r.retry()
}
