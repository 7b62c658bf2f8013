package async

import (
	"bytes"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"
)

// job is something to do for a crew.
type job interface {
	begin() // is called when the job is taken; FS.mu is held
	do()    // is called after it, without the lock
}

// crew is a bounded number of goroutines. They come when they are called and go
// when they had nothing to do for a while, so that nobody has to send them away.
type crew struct {
	mu    *sync.Mutex       // FS.mu, guards what follows
	limit int               // never changes
	next  func(h *hand) job // takes a job that has begun, nil if there is none; mu is held
	count int               // hands that there are
	idle  []*hand           // the last one was idle for the shortest time, and is called first
}

// hand is one goroutine of a crew.
type hand struct {
	wake chan struct{} // has room for one; filled by who takes the hand out of idle
	id   uint64        // of the goroutine, where somebody needs it
}

// linger is how long an idle hand stays.
const linger = 100 * time.Millisecond

// call makes sure that somebody looks for a job from now on, unless all hands
// are busy: those look when they are done. mu is held.
func (c *crew) call() {
	if n := len(c.idle); n > 0 {
		h := c.idle[n-1]
		c.idle = c.idle[:n-1]
		h.wake <- struct{}{}
		return
	}
	if c.count < c.limit {
		c.count++
		go c.serve(&hand{wake: make(chan struct{}, 1)})
	}
}

// serve is the life of a hand.
func (c *crew) serve(h *hand) {
	left := false
	defer func() {
		if !left { // a callback has called runtime.Goexit, as a test does that fails
			c.mu.Lock()
			defer c.mu.Unlock()
			c.count--
			c.call()
		}
	}()
	var timer *time.Timer
	for {
		c.mu.Lock()
		j := c.next(h)
		if j == nil {
			c.idle = append(c.idle, h)
		}
		c.mu.Unlock()
		if j != nil {
			j.do()
			continue
		}
		if timer == nil {
			timer = time.NewTimer(linger)
		} else {
			timer.Reset(linger)
		}
		select {
		case <-h.wake:
			timer.Stop()
		case <-timer.C:
			if left = c.leave(h); left {
				return
			}
			<-h.wake
		}
	}
}

// leave takes an idle hand out, unless it has just been called.
func (c *crew) leave(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.idle, h)
	if i >= 0 {
		c.idle = slices.Delete(c.idle, i, i+1)
		c.count--
	}
	return i >= 0
}

// goroutine is the number of the goroutine that calls it. The runtime tells it
// in the first line of a stack trace and nowhere else, in about a microsecond.
func goroutine() uint64 {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	digits, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("goroutine ")), []byte(" "))
	id, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		panic("async: a stack trace that begins with " + string(line))
	}
	return id
}
