package filestorage

import (
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// news wakes those who wait for transactions (follow.go). It is told by two
// sides: by the file layer, when somebody has written to the file or its lock
// file, for what is visible is bounded by the mark, which is raised last; and by
// this handle, when it publishes a state that shows more, whoever looked. It only
// wakes: whether there is something new the file tells. So a notice too many
// costs a look, and one that is missing a moment: who waits looks now and then
// by himself.
type news struct {
	waiting atomic.Int32 // cursors that are open; read without mu by publish, which is often called when there are none
	// heard counts the notices of the file layer, and deaf says that something
	// has happened of which it told nothing; see cursor. Both are read without mu,
	// for how long to sleep.
	heard atomic.Uint64
	deaf  atomic.Bool

	mu   sync.Mutex    // guards what follows; a leaf
	next chan struct{} // closed by the next notice; nil: nobody has asked for one
	stop func()        // ends the notices of the file layer; nil: it gives none
	over bool          // the handle was closed
}

// listen asks the file layer for notices, for the first cursor.
func (s *Storage) listen() {
	n := &s.news
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting.Add(1) > 1 || n.over {
		return
	}
	n.deaf.Store(true)
	if layer, ok := s.opts.FS.(vfs.Notifier); ok && s.stable && !s.opts.Foreground {
		stop, err := layer.Notify([]string{s.path, lockName(s.path)}, n.told)
		if err != nil {
			s.opts.Logger.Debug("durus: no notices of the file system: looking at the file now and then", "path", s.path, "err", err)
			return
		}
		n.stop = stop
		n.deaf.Store(false)
	}
}

// leave ends the notices with the last cursor.
func (n *news) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting.Add(-1) == 0 {
		n.end()
	}
}

// close ends the notices for good, and wakes everybody.
func (n *news) close() {
	n.mu.Lock()
	n.over = true
	n.end()
	n.mu.Unlock()
	n.ring()
}

// end is called with mu held.
func (n *news) end() {
	if n.stop != nil {
		n.stop()
		n.stop = nil
	}
}

// notice returns what is closed when there may be something new. It is asked for
// before the look that finds nothing, so that nothing falls between the two.
func (n *news) notice() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next == nil {
		n.next = make(chan struct{})
	}
	return n.next
}

// told is called by the file layer.
func (n *news) told() {
	n.heard.Add(1)
	n.deaf.Store(false)
	n.ring()
}

// ring wakes everybody who waits.
func (n *news) ring() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.next != nil {
		close(n.next)
		n.next = nil
	}
}

// published is called when this handle shows more than before. A state that is
// stored before waiting is read is found by a cursor that is opened later.
func (n *news) published() {
	if n.waiting.Load() > 0 {
		n.ring()
	}
}

var _ storage.Feed = (*Storage)(nil)
