package async

// fifo is a queue: first in, first out.
type fifo[T any] struct {
	items []T // those before head are taken
	head  int
}

func (q *fifo[T]) empty() bool { return q.head == len(q.items) }

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

// peek is the first one of a queue that is not empty.
func (q *fifo[T]) peek() T { return q.items[q.head] }

// pop takes the first one out of a queue that is not empty. It moves the rest
// when as many have been taken, so that a queue which is never empty does not
// grow for ever.
func (q *fifo[T]) pop() T {
	var none T
	v := q.items[q.head]
	q.items[q.head] = none // for the garbage collector
	q.head++
	if 2*q.head >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}

// clear forgets all.
func (q *fifo[T]) clear() { *q = fifo[T]{} }

// lane is what one file has to do of one kind, in order.
type lane[T any] struct {
	fifo[T]
	listed bool // it is in its ring
}

// ring is the lanes that have something, each of which gives one in its turn.
type ring[T any] struct {
	lanes fifo[*lane[T]] // some may have been cleared meanwhile
}

// add puts a lane that has something into the ring, unless it is there.
func (r *ring[T]) add(l *lane[T]) {
	if !l.listed && !l.empty() {
		l.listed = true
		r.lanes.push(l)
	}
}

// first is the lane whose turn it is, nil if all have nothing.
func (r *ring[T]) first() *lane[T] {
	for !r.lanes.empty() {
		l := r.lanes.peek()
		if !l.empty() {
			return l
		}
		r.lanes.pop().listed = false
	}
	return nil
}

// take gives the first of the lane whose turn it is; first has found it.
func (r *ring[T]) take() T {
	l := r.lanes.pop()
	v := l.pop()
	if l.listed = !l.empty(); l.listed {
		r.lanes.push(l)
	}
	return v
}
