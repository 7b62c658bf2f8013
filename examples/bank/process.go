package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// patience is how long a process may take to end when it is told to.
const patience = 30 * time.Second

// process is a worker or a reader: the processes that do its job, one after
// the other, and what they reported. It belongs to the goroutine of run.
type process struct {
	name string
	job  job
	cmd  *exec.Cmd // the newest of them; nil: none could be started

	killed bool   // cmd was
	kills  uint64 // so far
	dark   uint64 // ended by a kill since the last acknowledgement: each may hide one commit

	acknowledged uint64 // number of the last transfer
	transfers    uint64 // how many were acknowledged
	hidden       uint64 // committed, but the process was killed before it could say so
	took         []time.Duration
	conflicts    uint64
	retries      uint64
	audits       int
	packs        int
	removed      int64         // bytes, by packs
	held         time.Duration // longest time for which a pack has held up commits
	failed       string        // why it ended early, in its own words
}

// event is what a process said, or its end.
type event struct {
	from *process
	report
	ended bool
	err   error // of its end: nil if it ended well
}

// start makes this program do the job in another process. When ctx is done the
// process is told to end by the end of its standard input, and killed if it
// does not. Everything it says goes to events, its end last.
func (p *process) start(ctx context.Context, events chan<- event) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(p.job)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), jobEnv+"="+string(text))
	noOrphan(cmd)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	cmd.Cancel = in.Close
	cmd.WaitDelay = patience
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s cannot be started: %w", p.name, err)
	}
	p.cmd, p.killed = cmd, false
	go func() {
		// What a killed process wrote is still in the pipe.
		lines := json.NewDecoder(out)
		for {
			e := event{from: p}
			if lines.Decode(&e.report) != nil {
				break
			}
			events <- e
		}
		err := cmd.Wait()
		if s := cmd.ProcessState; s != nil && s.Success() {
			err = nil // Wait also tells that ctx was done
		}
		events <- event{from: p, ended: true, err: err}
	}()
	return nil
}

// kill ends the process as a crash would, wherever it is in its work.
func (p *process) kill() {
	if p.cmd == nil || p.killed || p.cmd.Process.Kill() != nil {
		return // there is none at the moment
	}
	p.killed = true
	p.kills++
}

// take notes a report. The error is a check that failed.
func (p *process) take(r report) error {
	p.audits += r.Audits
	p.conflicts += r.Conflicts
	p.retries += r.Retries
	p.failed = r.Failed
	if r.Packs > 0 {
		p.packs += r.Packs
		p.removed += r.Removed
		p.held = max(p.held, r.Took)
	}
	if r.Transfer == 0 {
		return nil
	}
	defer func() { p.acknowledged, p.dark = r.Transfer, 0 }()
	p.transfers++
	p.took = append(p.took, r.Took)
	return p.compare(r.Transfer - 1)
}

// compare says what is wrong when the teller was found with so many transfers.
// They are numbered from 1, each is acknowledged after its commit, so there
// are as many as were acknowledged, and one more at most for each process that
// was killed since: between its commit and its acknowledgement.
func (p *process) compare(found uint64) error {
	if found < p.acknowledged {
		return fmt.Errorf("%s acknowledged transfer %d, and only %d are in the file: commits were lost", p.name, p.acknowledged, found)
	}
	hidden := found - p.acknowledged
	p.hidden += hidden
	if hidden > p.dark {
		return fmt.Errorf("%s acknowledged transfer %d, and %d are in the file: %d kills do not explain that", p.name, p.acknowledged, found, p.dark)
	}
	return nil
}
