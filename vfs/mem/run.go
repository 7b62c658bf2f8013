package mem

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"
)

// ErrDeadlock: all processes of a Run wait for one another.
var ErrDeadlock = errors.New("mem: deadlock")

// ErrStepLimit: a Run had not ended after Disk.StepLimit operations.
var ErrStepLimit = errors.New("mem: too many operations")

// Ready is a process that can go on, and the operation it will do if it is
// chosen; Op.Seq is 0. A process that waited for a lock is ready when the lock
// is free.
type Ready struct {
	Process *Process
	Op      Op
}

// Chooser says which of several ready processes goes on. It is called at each
// operation at which there is a choice, always with the processes in the order
// in which they were started. Its choices alone determine what happens.
type Chooser func(ready []Ready) int

// Seeded chooses at random, the same for the same seed.
func Seeded(seed uint64) Chooser {
	rnd := rand.New(rand.NewPCG(seed, 0x6475727573))
	return func(ready []Ready) int { return rnd.IntN(len(ready)) }
}

// Script chooses processes by name, one name for each choice; a name that is
// not ready is passed over, for that choice, in favour of the first that is.
// After the last name the first ready process goes on as long as it can.
func Script(names ...string) Chooser {
	i := 0
	return func(ready []Ready) int {
		if i == len(names) {
			return 0
		}
		name := names[i]
		i++
		for k, r := range ready {
			if r.Process.name == name {
				return k
			}
		}
		return 0
	}
}

// scheduler runs the processes of one Run, one at a time. There is one baton:
// its holder alone touches the scheduler and its tasks, and hands it on through
// the channel of the task that is next.
type scheduler struct {
	d      *Disk
	choose Chooser
	tasks  []*task
	ready  []Ready // scratch
	index  []*task // scratch: tasks of ready
	steps  int
	limit  int
	err    error
	panics any
	done   chan struct{} // closed when the last task has ended
}

// task is a process under the scheduler.
type task struct {
	s     *scheduler
	p     *Process
	baton chan struct{}
	op    Op
	ended bool

	// Of a task that waits at a gate.
	free    func() bool // whether it may try again; nil if it does not wait
	ctx     context.Context
	expired bool // it is to give up: its deadline is the next thing to happen
}

// Run runs each body as a process, named "A", "B" and so on, exactly one at a
// time: at every operation choose says who goes on. It returns when all have
// ended. At its end a process is closed as by Kill, and so at the end of its
// body. A body uses one goroutine and never waits for another one but through
// locks of this disk.
//
// When nobody is ready, the wait with the earliest deadline is given up, else
// the first stopped process goes on, else the error Is ErrDeadlock, tells who
// waits for what, and all processes are killed. A panic of a body is passed on
// to the caller of Run when all have ended.
func (d *Disk) Run(choose Chooser, bodies ...func(*Process)) error {
	if len(bodies) == 0 {
		return nil
	}
	s := &scheduler{d: d, choose: choose, limit: d.StepLimit, done: make(chan struct{})}
	if s.limit == 0 {
		s.limit = 1e6
	}
	for i, body := range bodies {
		s.start(d.Process(string(rune('A'+i))), body)
	}
	s.next().baton <- struct{}{}
	<-s.done
	if s.panics != nil {
		panic(s.panics)
	}
	return s.err
}

// Spawn starts another process beside p, which must be one of Run that is
// running now: a hook or a body may so start a process again that was killed.
func (p *Process) Spawn(name string, body func(*Process)) *Process {
	child := p.d.Process(name)
	p.task.s.start(child, body)
	return child
}

// start adds a task. Its goroutine waits for the baton.
func (s *scheduler) start(p *Process, body func(*Process)) {
	t := &task{s: s, p: p, baton: make(chan struct{}, 1), op: Op{Process: p.name, Kind: OpStart}}
	p.task = t
	s.tasks = append(s.tasks, t)
	go func() {
		defer t.end()
		<-t.baton
		if !p.dead.Load() {
			body(p)
		}
	}()
}

// end is where the goroutine of a task ends: by return, Goexit or panic.
func (t *task) end() {
	s := t.s
	if v := recover(); v != nil && s.panics == nil {
		s.panics = fmt.Sprintf("mem: process %s: %v\n%s", t.p.name, v, debug.Stack())
		s.killAll()
	}
	t.p.Kill()
	t.ended = true
	if next := s.next(); next != nil {
		next.baton <- struct{}{}
	} else {
		close(s.done)
	}
}

// yield gives others the chance to run before op.
func (t *task) yield(op Op) {
	t.op = op
	if next := t.s.next(); next != t {
		next.baton <- struct{}{}
		<-t.baton
	}
	if t.p.dead.Load() {
		t.p.unwind()
	}
}

// block waits until free, ctx is done, or the wait has to be given up.
func (t *task) block(ctx context.Context, op Op, free func() bool) error {
	t.free, t.ctx = free, ctx
	t.yield(op)
	expired := t.expired
	t.free, t.ctx, t.expired = nil, nil, false
	if expired {
		return context.DeadlineExceeded
	}
	return cancelled(ctx)
}

// cancelled returns the error of a ctx that was cancelled. Under Run time does
// not pass: a deadline comes when nothing else can happen, not before.
func cancelled(ctx context.Context) error {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// next chooses who goes on; nil when all have ended.
func (s *scheduler) next() *task {
	s.steps++
	if s.steps > s.limit && s.err == nil {
		s.err = fmt.Errorf("%w: %d%s", ErrStepLimit, s.limit, s.describe())
		s.killAll()
	}
	for {
		s.ready, s.index = s.ready[:0], s.index[:0]
		for _, t := range s.tasks {
			switch {
			case t.ended:
			case t.p.dead.Load():
				return t // to unwind; its operations are none
			case t.p.stopped.Load():
			case t.free == nil || t.free() || cancelled(t.ctx) != nil:
				s.ready = append(s.ready, Ready{t.p, t.op})
				s.index = append(s.index, t)
			}
		}
		switch {
		case len(s.ready) == 1:
			return s.index[0]
		case len(s.ready) > 1:
			return s.index[s.choose(s.ready)]
		case !s.rescue():
			return nil
		}
	}
}

// rescue makes somebody ready when nobody is, or ends the run. It returns
// false when nobody is left.
func (s *scheduler) rescue() bool {
	var first, stopped *task
	var when time.Time
	live := false
	for _, t := range s.tasks {
		if t.ended {
			continue
		}
		live = true
		if t.p.stopped.Load() {
			if stopped == nil {
				stopped = t
			}
		} else if at, ok := t.ctx.Deadline(); ok && (first == nil || at.Before(when)) {
			first, when = t, at
		}
	}
	switch {
	case !live:
		return false
	case first != nil:
		first.expired = true
		first.free = func() bool { return true }
	case stopped != nil:
		stopped.p.Continue()
	default:
		s.err = fmt.Errorf("%w%s", ErrDeadlock, s.describe())
		s.killAll()
	}
	return true
}

func (s *scheduler) killAll() {
	for _, t := range s.tasks {
		if !t.ended {
			t.p.Kill()
		}
	}
}

// describe tells what each process is about to do.
func (s *scheduler) describe() string {
	var b strings.Builder
	for _, t := range s.tasks {
		if !t.ended {
			fmt.Fprintf(&b, "; %s is at %s %s", t.p.name, t.op.Kind, t.op.Name)
		}
	}
	return b.String()
}
