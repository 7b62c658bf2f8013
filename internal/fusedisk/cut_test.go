//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// seconds is how long the tests of this package take together, about.
func seconds() (n float64, long bool) {
	if v, err := strconv.ParseFloat(os.Getenv("DURUS_REAL_SECONDS"), 64); err == nil {
		return v, true
	}
	return 20, false
}

// share returns the end of a part of that time, for one kind of file system.
func share(part float64) (deadline time.Time, long bool) {
	n, long := seconds()
	kinds := 0
	for _, kind := range FileSystems {
		if kind.Missing() == "" {
			kinds++
		}
	}
	return time.Now().Add(time.Duration(n * part / float64(kinds) * float64(time.Second))), long
}

func newSeed(t *testing.T) uint64 {
	seed := rand.Uint64()
	if v, err := strconv.ParseUint(os.Getenv("DURUS_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("DURUS_SEED=%d", seed)
	return seed
}

// TestPowerCuts runs writers in several processes on a real file system and
// cuts the power of its disk at moments exact to the write: at flushes, where
// nothing is left open, and between them, where a disk may keep any part of
// what it has in its cache. Every image is mounted and judged by a fresh
// process, and in some the power is cut again while that one recovers.
// F1 F3 F10 F17 F40
func TestPowerCuts(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		deadline, long := share(0.5)
		rnd := rand.New(rand.NewPCG(newSeed(t), 0))
		var n tried
		began := time.Now()
		var judging time.Duration
		acks, flushes := 0, 0
		for round := 0; round == 0 || time.Now().Before(deadline); round++ {
			r := record(t, kind, rnd.Uint64())
			r.scene("")
			log := r.disk.Log()
			if err := r.mount.Unmount(); err != nil {
				t.Fatal(err)
			}
			acks += r.heard()
			flushes += len(log.Flushes())
			limit := 24
			if long {
				limit = 0
			}
			from := time.Now()
			r.judgeAll(log, r.cuts(log, 0, limit), &n)
			judging += time.Since(from)
			if t.Failed() {
				break
			}
		}
		t.Logf("%d images in %v, %.1f a second while judging; %d that the file system refused; %d acknowledgements, %d flushes",
			n.images, time.Since(began).Round(time.Millisecond), float64(n.images)/judging.Seconds(), n.refused, acks, flushes)
		if n.images < 5 || n.refused*10 > n.images {
			t.Errorf("%d images, %d of them refused: that shows nothing", n.images, n.refused)
		}
	})
}

// scene is what is recorded: two processes with two writers each, of which one
// ends and has a successor while the other goes on.
func (r *recording) scene(lie string) {
	r.t.Helper()
	short := r.write(8, lie, 0, 1)
	if r.kind.alone {
		_ = short.wait() // asked for again below
	}
	long := r.write(24, lie, 2, 3)
	err := short.wait()
	if r.kind.alone {
		_ = long.wait()
	}
	next := r.write(8, lie, 0, 1)
	if err := errors.Join(err, long.wait(), next.wait()); err != nil {
		r.t.Fatal(err)
	}
	if lie == "" && r.isTroubled() {
		r.t.Errorf("seed %d, trouble on a healthy disk: %q", r.seed, r.trouble)
	}
}

// cuts chooses power cuts from a moment on, in order: at flushes, at most
// limit of them unless it is 0, and twice as many elsewhere.
func (r *recording) cuts(log Log, from, limit int) (chosen []cut) {
	for _, m := range log.Flushes() {
		if m >= from {
			chosen = append(chosen, cut{moment: m, seed: r.rnd.Uint64()})
		}
	}
	if limit > 0 {
		r.rnd.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:min(len(chosen), limit)]
	}
	for range max(1, len(chosen)) * 2 {
		chosen = append(chosen, randomCut(r.rnd, from, len(log.Ops)))
	}
	slices.SortFunc(chosen, func(a, b cut) int { return a.moment - b.moment })
	return chosen
}

// judgeAll looks at the images of all cuts, which are in order.
func (r *recording) judgeAll(log Log, chosen []cut, n *tried) {
	r.t.Helper()
	p := log.Play()
	for i, c := range chosen {
		im := c.image(p)
		n.images++
		next, err := r.verdict(im, r.at(c.moment))
		var refused *RefusedError
		switch {
		case errors.As(err, &refused):
			n.refused++
			r.t.Logf("seed %d, %v: %v", r.seed, c, err)
			continue
		case err != nil:
			r.t.Errorf("seed %d, power cut %v of %d: %v", r.seed, c, len(log.Ops), err)
			keep(r.t, im)
			return
		}
		if i%4 == 0 {
			next.again(c, n)
		}
	}
}

// again cuts the power a second time, while what the first cut left was
// recovered, judged and written to.
func (r *recording) again(first cut, n *tried) {
	r.t.Helper()
	log := r.disk.Log()
	rnd := rand.New(rand.NewPCG(first.seed, uint64(first.moment)))
	c := randomCut(rnd, 0, len(log.Ops))
	im := c.image(log.Play())
	n.images++
	_, err := r.verdict(im, r.at(c.moment))
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		n.refused++
		r.t.Logf("after a power cut %v, a second one %v: %v", first, c, err)
	case err != nil:
		r.t.Errorf("after a power cut %v, a second one %v of %d: %v", first, c, len(log.Ops), err)
		keep(r.t, im)
	}
}
