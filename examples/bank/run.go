package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/durusdb/durus/durus"
)

// run is one run of the example. One goroutine owns it: that of loop.
type run struct {
	config
	workers []*process
	readers []*process
	packer  *process // nil unless it is wanted
	events  chan event
	alive   int // processes whose end has not come yet
	begin   time.Time
	took    time.Duration // from begin until the processes were told to end
	wrong   []error       // checks that failed
	screen  screen
}

// newRun opens the bank and hires a teller for each worker.
func newRun(ctx context.Context, c config) (*run, error) {
	db, err := durus.Open(c.file, nil)
	if err != nil {
		return nil, err
	}
	tellers, err := found(ctx, db, c.accounts, c.workers)
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	r := &run{config: c, events: make(chan event, 64), begin: time.Now(), screen: newScreen(c.out)}
	for i, t := range tellers {
		r.workers = append(r.workers, &process{
			name: fmt.Sprintf("worker %d", i+1),
			job:  job{File: c.file, Sync: c.sync, Teller: t.OID()},
		})
	}
	for i := range c.readers {
		r.readers = append(r.readers, &process{name: fmt.Sprintf("reader %d", i+1), job: job{File: c.file}})
	}
	if c.pack {
		r.packer = &process{name: "packer", job: job{File: c.file, Pack: true}}
	}
	return r, nil
}

// killable are the processes that write.
func (r *run) killable() []*process {
	if r.packer == nil {
		return r.workers
	}
	return append(slices.Clone(r.workers), r.packer)
}

// loop starts the processes and returns when all have ended, which they are
// told to when ctx is done.
func (r *run) loop(ctx context.Context) {
	for _, p := range slices.Concat(r.killable(), r.readers) {
		r.launch(ctx, p)
	}
	tick := time.NewTicker(r.screen.every())
	defer tick.Stop()
	kill := time.NewTimer(killPause())
	defer kill.Stop()
	over := ctx.Done()
	for r.alive > 0 {
		select {
		case e := <-r.events:
			r.take(ctx, e)
		case <-kill.C:
			if !r.noKill && ctx.Err() == nil {
				all := r.killable()
				all[rand.IntN(len(all))].kill()
				kill.Reset(killPause())
			}
		case <-tick.C:
			r.screen.progress(r)
		case <-over:
			r.took, over = time.Since(r.begin), nil
		}
	}
	if over != nil {
		r.took = time.Since(r.begin)
	}
	r.screen.clear()
}

// killPause is the time between two kills.
func killPause() time.Duration { return 300*time.Millisecond + rand.N(700*time.Millisecond) }

// launch starts a process unless the time is over.
func (r *run) launch(ctx context.Context, p *process) {
	if err := p.start(ctx, r.events); err == nil {
		r.alive++
	} else if ctx.Err() == nil {
		r.expect(err)
	}
}

func (r *run) take(ctx context.Context, e event) {
	p := e.from
	if !e.ended {
		r.expect(p.take(e.report))
		return
	}
	r.alive--
	switch {
	case p.failed != "":
		r.expect(fmt.Errorf("%s failed: %s", p.name, p.failed))
	case p.killed:
		p.dark++
		r.launch(ctx, p)
	case e.err != nil:
		r.expect(fmt.Errorf("%s did not end well: %w", p.name, e.err))
	}
}

// check asks the file, after everybody has left, for what was promised.
func (r *run) check(ctx context.Context) {
	db, err := durus.Open(r.file, &durus.Options{MustExist: true})
	if err != nil {
		r.expect(err)
		return
	}
	r.expect(db.View(ctx, func(tx *durus.Tx) error {
		for _, p := range r.workers {
			t, err := durus.RefTo[Teller](p.job.Teller).Load(tx)
			if err != nil {
				return fmt.Errorf("the teller of %s: %w", p.name, err)
			}
			r.expect(p.compare(t.Transfers))
		}
		return audit(tx)
	}))
	r.expect(db.Close())
}

// expect notes the outcome of a check.
func (r *run) expect(err error) {
	if err != nil {
		r.wrong = append(r.wrong, err)
	}
}
