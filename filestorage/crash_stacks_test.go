package filestorage

import (
	"strings"
	"testing"
)

// stackedEvery: of so many images one is judged by a process with the same
// stack, the others without, which is faster.
const stackedEvery = 16

// TestCrashOverStacks runs all sequences of up to two steps, and random longer
// ones, in processes that have wrappers over their files: what was acknowledged
// through them survives like any other. D6 F1 F3 F5 B3 B7
func TestCrashOverStacks(t *testing.T) {
	im, base, err := baseWorld()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stacks[1:] { // the first one is nothing
		t.Run(s.name, func(t *testing.T) {
			budget := shareStacks.states() / int64(len(stacks)-1)
			if strings.Contains(s.name, "latency") {
				budget /= 10 // it takes its time
			}
			c := newCrasher(t, budget, 0)
			c.workers *= 8 // those that wait for delayed calls let others work
			fork := func() *world {
				w := base.fork(im)
				w.over = s.over
				return w
			}
			c.budget = budget * 2 / 3
			for _, c.options = range imageOptions(c.seed)[:3] {
				c.all(t, 2, fork)
			}
			c.budget = budget
			c.random(t, fork)
		})
	}
}
