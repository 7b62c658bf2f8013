//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/durusdb/durus/storage"
)

// recording is a ledger on a disk, what its writers were told, and when: at
// which moment of the disk's log.
type recording struct {
	t    *testing.T
	kind FileSystem
	seed uint64
	rnd  *rand.Rand

	disk  *Disk
	mount *Mount
	path  string // of the ledger

	mu      sync.Mutex // guards the rest
	acks    []ack
	denials []denial
	refused map[int]int // see judgeTask
	trouble []string    // answers that are neither
}

// ack says that transaction n of a writer was acknowledged not later than at.
type ack struct{ at, writer, n int }

// denial says that tid was declared not to be there, not later than at.
type denial struct {
	at  int
	tid storage.TID
}

// record mounts a new file system; the log begins before the ledger does.
func record(t *testing.T, kind FileSystem, seed uint64) *recording {
	t.Helper()
	r := &recording{t: t, kind: kind, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), refused: map[int]int{}}
	r.disk = newDisk(t, kind)
	r.mount = mounted(t, kind, r.disk)
	r.path = filepath.Join(r.mount.Dir, "ledger.durus")
	return r
}

// hear notes a line of a child.
func (r *recording) hear(line string) {
	at := r.disk.Moment() // it was so before the line was written, so by now it is
	r.mu.Lock()
	defer r.mu.Unlock()
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "ack":
		a := ack{at: at}
		if _, err := fmt.Sscan(rest, &a.writer, &a.n); err != nil {
			r.t.Errorf("%q: %v", line, err)
		}
		r.acks = append(r.acks, a)
	case "deny":
		d := denial{at: at}
		if _, err := fmt.Sscan(rest, &d.tid); err != nil {
			r.t.Errorf("%q: %v", line, err)
		}
		r.denials = append(r.denials, d)
	case "refuse":
		var w, n int
		if _, err := fmt.Sscan(rest, &w, &n); err != nil {
			r.t.Errorf("%q: %v", line, err)
		}
		r.refused[w] = n
	case "trouble":
		r.trouble = append(r.trouble, rest)
	default:
		r.t.Errorf("seed %d, %s: %s", r.seed, r.kind.Name, line)
	}
}

// write starts a process with these writers, each to make limit transactions.
func (r *recording) write(limit int, lie string, writers ...int) *child {
	r.t.Helper()
	task := writerTask{Path: r.path, Writers: map[int]int{}, Limit: limit, Lie: lie}
	done := r.at(r.disk.Moment()).Acked
	for _, w := range writers {
		task.Writers[w] = done[w]
	}
	return start(r.t, "write", task, r.hear)
}

// at returns what must hold after a power cut at a moment. Only acknowledgements
// that had been heard by then count, so a line that arrives late asks for less,
// never for more.
func (r *recording) at(moment int) judgeTask {
	r.mu.Lock()
	defer r.mu.Unlock()
	task := judgeTask{Refused: r.refused} // whenever: there was no attempt that could have left it
	for _, a := range r.acks {
		if a.at <= moment {
			task.Acked[a.writer] = max(task.Acked[a.writer], a.n)
		}
	}
	for _, d := range r.denials {
		if d.at <= moment {
			task.Denied = append(task.Denied, d.tid)
		}
	}
	return task
}

// heard is how many acknowledgements there are.
func (r *recording) heard() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.acks)
}

// isTroubled tells whether a writer got an answer that is neither yes nor no.
func (r *recording) isTroubled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.trouble) > 0
}

// cut is a power cut: a moment, and what the disk keeps of the writes that are
// not durable then. Unless more is said it keeps nothing that it need not.
type cut struct {
	moment int
	grain  int64   // pieces of which each is kept or not; 0: whole writes
	keep   float64 // how likely
	seed   uint64
}

func (c cut) String() string {
	return fmt.Sprintf("after operation %d, pieces of %d bytes kept with probability %.2f by seed %d", c.moment, c.grain, c.keep, c.seed)
}

// image returns what the cut leaves. p must not stand behind it.
func (c cut) image(p *Player) Image {
	p.Advance(c.moment)
	rnd := rand.New(rand.NewPCG(c.seed, 1))
	return p.Cut(c.grain, func() bool { return rnd.Float64() < c.keep })
}

// randomCut is a cut at a moment in [from, to].
func randomCut(rnd *rand.Rand, from, to int) cut {
	return cut{
		moment: from + rnd.IntN(to-from+1),
		grain:  []int64{0, 4096, 4096, Sector}[rnd.IntN(4)],
		keep:   []float64{0.05, 0.3, 0.5, 0.7, 0.95}[rnd.IntN(5)],
		seed:   rnd.Uint64(),
	}
}

// tried counts the images that were looked at.
type tried struct{ images, refused int }

// verdict looks at an image after a power cut: it mounts it, and a fresh
// process judges the ledger. What happened meanwhile is the next recording. A
// file system that does not mount is *RefusedError.
func (r *recording) verdict(im Image, task judgeTask) (next *recording, err error) {
	next = &recording{t: r.t, kind: r.kind, seed: r.seed, disk: NewDisk(im), refused: task.Refused}
	for w, n := range task.Acked {
		next.acks = append(next.acks, ack{0, w, n})
	}
	for _, tid := range task.Denied {
		next.denials = append(next.denials, denial{0, tid})
	}
	m, err := next.disk.Mount(r.kind, r.t.TempDir())
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := m.Abort(); err == nil {
			err = e
		}
	}()
	next.path = filepath.Join(m.Dir, filepath.Base(r.path))
	task.Path = next.path
	return next, start(r.t, "judge", task, next.hear).wait()
}

// keep writes an image to a file that stays when the test has ended.
func keep(t *testing.T, im Image) {
	dir, err := os.MkdirTemp("", "fusedisk")
	if err != nil {
		t.Error(err)
		return
	}
	name := filepath.Join(dir, "image")
	if err := im.WriteFile(name); err != nil {
		t.Error(err)
		return
	}
	t.Logf("the image is in %s", name)
}
