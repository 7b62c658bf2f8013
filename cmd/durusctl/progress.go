package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress is a line on standard error that tells how far a long work is. It
// appears only when the work is long and standard error is a terminal, and is
// gone when it ends.
type progress struct {
	to    io.Writer
	width int // columns of to
	what  string
	unit  func(int64) string // an amount of work in words
	began time.Time
	next  time.Time // when to print again; zero: never
	shown bool
}

const (
	progressAfter = 500 * time.Millisecond
	progressEvery = 100 * time.Millisecond
	barWidth      = 24
)

// progress makes one for a work that is measured in bytes.
func (a *app) progress(what string) *progress {
	p := &progress{to: a.err, width: a.errWidth, what: what, unit: shortSize, began: time.Now()}
	if isTerminal(a.err) && os.Getenv("TERM") != "dumb" {
		p.next = p.began.Add(progressAfter)
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
	length := barWidth
	if p.width > 0 {
		length = min(barWidth, p.width/4)
	}
	full := int(int64(length) * done / total)
	bar := strings.Repeat("#", full) + strings.Repeat(".", length-full)
	line := fmt.Sprintf("%s [%s] %3d %% of %s%s", p.what, bar, 100*done/total, p.unit(total), p.pace(done, total, now.Sub(p.began)))
	if p.width > 0 {
		line = cut(line, p.width-1) // the cursor stands behind it
	}
	fmt.Fprintf(p.to, "\r%s\x1b[K", line)
}

// pace is the rate so far, and how long the rest takes at that rate.
func (p *progress) pace(done, total int64, took time.Duration) string {
	if done <= 0 || took <= 0 {
		return ""
	}
	rate := float64(done) / took.Seconds()
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return fmt.Sprintf(", %s/s, %s left", p.unit(int64(rate)), left.Round(time.Second))
}

// end removes the line.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
