package lockfile

import (
	"context"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// registry holds one guard for every data file that Lockers of this process
// use.
var registry = struct {
	mu     sync.Mutex // guards guards and every guard.users
	guards map[vfs.FileID]*guard
}{guards: map[vfs.FileID]*guard{}}

// guard serialises what this process does to the locks of one data file. Its
// turn is the right to call flock for that file; a turn is held from before
// the first flock until after the last unlock.
type guard struct {
	id    vfs.FileID
	users int // Lockers and helpers; at 0 the guard leaves the registry

	mu    sync.Mutex // guards what follows
	taken bool       // somebody has the turn
	queue []chan struct{}
	waits map[vfs.FileID]*wait // the helper for each inode, see wait.go
}

// guardOf returns the guard of a data file and counts a user.
func guardOf(id vfs.FileID) *guard {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	g := registry.guards[id]
	if g == nil {
		g = &guard{id: id, waits: map[vfs.FileID]*wait{}}
		registry.guards[id] = g
	}
	g.users++
	return g
}

// retain counts one more user of a guard that has one.
func (g *guard) retain() {
	registry.mu.Lock()
	g.users++
	registry.mu.Unlock()
}

// drop takes back one use.
func (g *guard) drop() {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(registry.guards, g.id)
	}
}

// tryTurn takes the turn if nobody has it.
func (g *guard) tryTurn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken {
		return false
	}
	g.taken = true
	return true
}

// turn waits for the turn, first come first served, until ctx or done ends.
func (g *guard) turn(ctx context.Context, done <-chan struct{}) error {
	g.mu.Lock()
	if !g.taken {
		g.taken = true
		g.mu.Unlock()
		return nil
	}
	ready := make(chan struct{})
	g.queue = append(g.queue, ready)
	g.mu.Unlock()

	var err error
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-done:
		err = vfs.ErrClosed
	}
	g.leave(ready)
	return err
}

// leave takes a waiter out of the queue. A turn that it was given at the last
// moment goes on to the next one.
func (g *guard) leave(ready chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, r := range g.queue {
		if r == ready {
			g.queue = append(g.queue[:i], g.queue[i+1:]...)
			return
		}
	}
	g.pass()
}

// giveTurn ends the turn of the caller.
func (g *guard) giveTurn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// pass hands the turn to the first in the queue: taken stays true, so that
// nobody who comes later gets in between. g.mu is held.
func (g *guard) pass() {
	if len(g.queue) == 0 {
		g.taken = false
		return
	}
	ready := g.queue[0]
	g.queue[0] = nil
	g.queue = g.queue[1:]
	close(ready)
}
