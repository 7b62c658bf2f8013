package filestorage

import (
	"io"
	"sync/atomic"
)

// behind writes what it is given on a goroutine of its own, in the order in
// which it comes, while its user makes more. Little is on its way at a time.
// One goroutine uses it, which must end it with close.
type behind struct {
	w    io.Writer
	buf  []byte      // what is collected
	full chan []byte // to the goroutine; nil until there is one
	free chan []byte // and back
	done chan struct{}

	broken atomic.Bool // err is set: read at any time, so that the user stops soon
	err    error       // the first one; before broken, or after done, not to be read by the user
	alone  bool        // no goroutine: what is full is written at once
}

const behindBuffer = 256 << 10

// Write implements io.Writer. An error may be one of an earlier call.
func (b *behind) Write(p []byte) (int, error) {
	n := len(p)
	for {
		if b.broken.Load() {
			return 0, b.err
		}
		if b.buf == nil {
			b.buf = make([]byte, 0, behindBuffer)
		}
		k := min(len(p), cap(b.buf)-len(b.buf))
		b.buf, p = append(b.buf, p[:k]...), p[k:]
		if len(b.buf) == cap(b.buf) {
			b.pass()
		}
		if len(p) == 0 {
			return n, nil
		}
	}
}

// pass gives a full buffer to the goroutine and takes an empty one.
func (b *behind) pass() {
	if b.alone {
		b.write(b.buf)
		b.buf = b.buf[:0]
		return
	}
	if b.full == nil {
		b.full, b.free, b.done = make(chan []byte, 1), make(chan []byte, 2), make(chan struct{})
		b.free <- make([]byte, 0, behindBuffer)
		b.free <- make([]byte, 0, behindBuffer)
		go b.run()
	}
	b.full <- b.buf
	b.buf = <-b.free
}

func (b *behind) run() {
	defer close(b.done)
	for p := range b.full {
		b.write(p)
		b.free <- p[:0]
	}
}

func (b *behind) write(p []byte) {
	if b.broken.Load() || len(p) == 0 {
		return
	}
	if _, err := b.w.Write(p); err != nil {
		b.err = err
		b.broken.Store(true)
	}
}

// close returns when everything is written, or with the first error; with drop
// what is still collected is not.
func (b *behind) close(drop bool) error {
	if b.full != nil {
		close(b.full)
		<-b.done
		b.full = nil
	}
	if !drop {
		b.write(b.buf)
	}
	b.buf = nil
	return b.err
}
