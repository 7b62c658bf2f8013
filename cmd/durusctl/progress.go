package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress is a line on standard error that tells how far a long work is. It
// appears only when the work is long and standard error is a terminal, and is
// gone when it ends.
type progress struct {
	to    io.Writer
	what  string
	total func(int64) string // the whole work in words; nil: it is bytes
	next  time.Time          // when to print again; zero: never
	shown bool
}

const (
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

func (a *app) progress(what string) *progress {
	p := &progress{to: a.err, what: what}
	if isTerminal(a.err) && os.Getenv("TERM") != "dumb" {
		p.next = time.Now().Add(progressAfter)
	}
	return p
}

// objectCount is a number of objects.
func objectCount(n int64) string { return count(uint64(n), "object") }

// update has the signature that package filestorage asks for.
func (p *progress) update(done, total int64) {
	if p.next.IsZero() || total == 0 {
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(progressEvery), true
	all := sizeText(total)
	if p.total != nil {
		all = p.total(total)
	}
	fmt.Fprintf(p.to, "\r%s %3d %% of %s\x1b[K", p.what, 100*done/total, all)
}

// end removes the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
