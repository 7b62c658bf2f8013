package lockfile

import (
	"context"
	"os"

	"github.com/durusdb/durus/vfs"
	"github.com/gofrs/flock"
)

// grant is a lock that a helper got, on a descriptor of its own.
type grant struct {
	id      vfs.FileID // the inode that is locked; zero if it is not known
	release func() error
}

// wait is one helper goroutine that sits in a blocking lock call.
//
// joined is true while the one who has the guard's turn waits for it; it and
// the outcome are guarded by guard.mu until done is closed. The outcome of a
// helper that nobody has joined is given back under guard.mu before the wait
// leaves guard.waits: so whoever finds no wait there may call flock on the same
// descriptor and will not have it released under his feet.
type wait struct {
	joined bool
	done   chan struct{}
	grant  *grant
	err    error
}

// pending reports whether a helper waits for the lock of an inode.
func (g *guard) pending(id vfs.FileID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waits[id] != nil
}

// await waits for the lock of the inode id: in the helper that is there, or
// in a new one that calls block. The caller has the turn.
func (g *guard) await(ctx context.Context, done <-chan struct{}, id vfs.FileID, block func() (*grant, error)) (*grant, error) {
	g.mu.Lock()
	w := g.waits[id]
	if w == nil {
		w = &wait{done: make(chan struct{})}
		g.waits[id] = w
		g.retain()
		go g.help(id, w, block)
	}
	w.joined = true
	g.mu.Unlock()

	var err error
	select {
	case <-w.done:
		return w.grant, w.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-done:
		err = vfs.ErrClosed
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	w.joined = false
	select {
	case <-w.done: // it came at the same moment: too late
		w.discard()
	default:
	}
	return nil, err
}

// help is the helper goroutine.
func (g *guard) help(id vfs.FileID, w *wait, block func() (*grant, error)) {
	defer g.drop()
	got, err := block()

	g.mu.Lock()
	defer g.mu.Unlock()
	w.grant, w.err = got, err
	if !w.joined {
		w.discard()
	}
	delete(g.waits, id)
	close(w.done)
}

// discard gives back a lock that came too late.
func (w *wait) discard() {
	if w.grant != nil {
		_ = w.grant.release() // the descriptor is closed with it: nothing is left to do
		w.grant = nil
	}
}

// gofrs returns the library's view of the lock file. It opens the file
// itself, as we do, but never creates it.
func gofrs(path string) *flock.Flock {
	return flock.New(path, flock.SetFlag(openFlags|os.O_RDWR))
}

// blockLockFile waits for the lock of the file that path leads to now.
func blockLockFile(path string) (*grant, error) {
	f := gofrs(path)
	for {
		err := f.Lock()
		if err == nil {
			return grantOf(f)
		}
		if !interrupted(err) {
			return nil, err
		}
	}
}

// grantOf turns a lock that gofrs holds into a grant.
func grantOf(f *flock.Flock) (*grant, error) {
	info, err := f.Stat()
	if err != nil {
		_ = f.Unlock() // the error that counts is the one of Stat
		return nil, err
	}
	return &grant{id: idOfInfo(info), release: f.Unlock}, nil
}
