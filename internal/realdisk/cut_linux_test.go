package realdisk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

var background = context.Background()

// Real power cuts: children commit and look, the file system stops at a random
// moment and is mounted again, which replays its journal. What was
// acknowledged or shown is there, nothing is there in part, and what is found
// is something that the memory disk can produce, too. F3, H2, A19, acceptance
// test 5
func TestTorturePowerCut(t *testing.T) {
	for i := range filesystems {
		kind := &filesystems[i]
		t.Run(kind.name, func(t *testing.T) {
			l := &cutter{t: t, rnd: newRand(t), disk: newDisk(t, kind), explained: make(explanations)}
			begin := time.Now()
			limit := lasts(t, 2500*time.Millisecond)
			for !t.Failed() && (time.Since(begin) < limit || l.cuts < 3) {
				l.round()
			}
			took := time.Since(begin)
			t.Logf("%d cuts, %.1f/s; %d commits acknowledged, %d of unknown outcome, %d of those kept; %d states were shown; explained by the memory disk: %v",
				l.cuts, float64(l.cuts)/took.Seconds(), l.acks, l.unknown, l.kept, l.views, l.explained)
			if l.cuts >= 10 && l.acks < l.cuts/4 || l.explained["M1"]+l.explained["M2"] == 0 {
				t.Error("too little has happened")
			}
		})
	}
}

// cutter cuts the power of one file system again and again.
type cutter struct {
	t         *testing.T
	rnd       *rand.Rand
	disk      *disk
	path      string
	at        state // the newest transactions
	cuts      int
	explained explanations

	acks, unknown, kept, views int
}

// roundsPerFile is how often a database is used before there is a new one: it
// is read as a whole after each cut.
const roundsPerFile = 12

func (l *cutter) round() {
	t := l.t
	t.Helper()
	if l.cuts%roundsPerFile == 0 {
		l.startOver()
	}
	l.disk.sync()
	before, err := readFiles(filepath.Dir(l.path))
	if err != nil {
		t.Fatal(err)
	}
	crew := l.enlist()
	for _, w := range crew.writers {
		w.say("go")
	}
	time.Sleep(time.Duration(l.rnd.Int64N(int64(25 * time.Millisecond))))
	how := dropLog
	if l.rnd.IntN(4) == 0 {
		how = flushLog
	}
	// A real power cut stops everybody at the same moment. Here they go on for
	// a while, and are told things that nobody would live to hear: ext4 says
	// that a sync was good which the shutdown came across. So what counts ends
	// where the cut begins, and what may have reached the disk where it ends.
	a := newAccount()
	a.until = monotonic()
	l.disk.cut(how)
	over := monotonic()
	l.cuts++
	crew.dismiss(a)
	l.disk.unmount()
	l.disk.mount()

	after, err := readFiles(filepath.Dir(l.path))
	if err != nil {
		t.Fatal(err)
	}
	d, certain, err := replay(before, history(crew.recordings, a.until, over))
	if err == nil {
		err = l.explained.explain(d, certain, after)
	}
	if err != nil {
		t.Errorf("cut %d (%d): the memory disk cannot explain it: %v", l.cuts, how, err)
		l.keep(before, after)
	}
	l.acks += a.count("ok")
	l.unknown += a.count("unknown")
	l.views += crew.views
	if l.at, err = judge(l.path, a, leniency{lossy: crew.lossy}); err != nil {
		t.Errorf("cut %d (%d): %v\n%s", l.cuts, how, err, a.complaints())
		l.keep(before, after)
	}
	l.count(a)
}

// count counts the transactions that turned out to be there although nobody
// could say so.
func (l *cutter) count(a *account) {
	log, err := transactions(l.path)
	if err != nil {
		l.t.Error(err)
		return
	}
	for p, of := range a.verdicts {
		for n, v := range of {
			if v != "ok" && slices.Contains(log[p], n) {
				l.kept++
			}
		}
	}
}

// startOver makes a new database on the disk.
func (l *cutter) startOver() {
	t := l.t
	t.Helper()
	if l.path != "" {
		if err := os.RemoveAll(filepath.Dir(l.path)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(l.disk.dir, fmt.Sprint(l.cuts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.path, l.at = filepath.Join(dir, "db"), state{}
	if err := openAndClose(l.path); err != nil {
		t.Fatal(err)
	}
}

// keep saves the files of a failure where they stay.
func (l *cutter) keep(before, after files) {
	dir, err := os.MkdirTemp("", "durus-realdisk-")
	if err != nil {
		l.t.Error(err)
		return
	}
	for when, all := range map[string]files{"before": before, "after": after} {
		for name, b := range all {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, when+"-"+name), b, 0o600))
		}
	}
	l.t.Logf("the files before and after the cut are kept in %s: %v", dir, err)
}

// crew are the children of one round.
type crew struct {
	t          *testing.T
	writers    []*child
	numbers    []int // of the writers as processes
	watchers   []*child
	recordings []*recording
	lossy      [processes]bool
	views      int
}

// enlist starts the children of a round, and waits until they are ready.
func (l *cutter) enlist() *crew {
	l.t.Helper()
	c := &crew{t: l.t}
	for p := 1; p <= 1+l.rnd.IntN(2); p++ {
		task := commitTask{Path: l.path, Process: p, First: l.at[p] + 1, Wait: true, Record: true}
		if l.rnd.IntN(4) == 0 {
			task.Options.Sync, task.Options.SyncEvery = durus.SyncInterval, 2*time.Millisecond
			task.Pause = 300 * time.Microsecond // otherwise there is little but what nobody promised
			c.lossy[p] = true
		}
		c.writers = append(c.writers, c.hire("commit", task))
		c.numbers = append(c.numbers, p)
	}
	if l.rnd.IntN(2) == 0 {
		c.watchers = append(c.watchers, c.hire("watch", watchTask{Path: l.path, ReadOnly: l.rnd.IntN(2) == 0, Record: true}))
	}
	for _, one := range append(c.writers[:len(c.writers):len(c.writers)], c.watchers...) {
		one.expect("ready")
	}
	return c
}

func (c *crew) hire(role string, task any) *child {
	c.t.Helper()
	rec, in, err := record()
	if err != nil {
		c.t.Fatal(err)
	}
	c.recordings = append(c.recordings, rec)
	return start(c.t, role, task, outfit{files: []*os.File{in}})
}

// dismiss ends the children and takes down what they were told.
func (c *crew) dismiss(a *account) {
	for i, w := range c.writers {
		w.kill()
		a.add(c.numbers[i], w.all())
	}
	for _, w := range c.watchers {
		w.kill()
		c.views += a.watched(w.all())
	}
}
