package measure

import "time"

// Loop calls f until d is over, at least once, and returns how often it did, how
// long it took, and how long each call took.
func Loop(d time.Duration, f func(i int) error) (n int, took time.Duration, h *Histogram, err error) {
	h = new(Histogram)
	began := time.Now()
	last := began
	for {
		if err := f(n); err != nil {
			return n, time.Since(began), h, err
		}
		n++
		now := time.Now()
		h.Add(now.Sub(last))
		last = now
		if took = now.Sub(began); took >= d {
			return n, took, h, nil
		}
	}
}

// Rate is Loop as a Sample of calls per second, times each.
func Rate(d time.Duration, each int, f func(i int) error) (Sample, error) {
	n, took, h, err := Loop(d, f)
	return Sample{Value: float64(n*each) / took.Seconds(), Latency: h}, err
}

// Cost is a Sample of nanoseconds per operation, of calls that do each of them.
func Cost(d time.Duration, each int, f func(i int) error) (Sample, error) {
	n, took, _, err := Loop(d, f)
	return Sample{Value: float64(took.Nanoseconds()) / float64(n*each)}, err
}
