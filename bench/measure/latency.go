package measure

import (
	"math/bits"
	"time"
)

// Each power of two is cut into eight: what is read from a histogram is at most
// an eighth too high.
const perOctave = 8

// Histogram counts durations. It is not safe for concurrent use.
type Histogram struct {
	Counts []uint64      `json:"counts"` // by bucket, up to the last one that is used
	Max    time.Duration `json:"max"`
}

// Add counts d.
func (h *Histogram) Add(d time.Duration) {
	b := bucket(d)
	for len(h.Counts) <= b {
		h.Counts = append(h.Counts, 0)
	}
	h.Counts[b]++
	h.Max = max(h.Max, d)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for b, n := range other.Counts {
		for len(h.Counts) <= b {
			h.Counts = append(h.Counts, 0)
		}
		h.Counts[b] += n
	}
	h.Max = max(h.Max, other.Max)
}

func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < perOctave {
		return int(n)
	}
	shift := bits.Len64(n) - 4
	return (shift+1)*perOctave + int(n>>shift) - perOctave
}

// upper is the greatest duration of a bucket.
func upper(b int) time.Duration {
	if b < perOctave {
		return time.Duration(b)
	}
	shift := b/perOctave - 1
	return time.Duration((uint64(b%perOctave+perOctave)+1)<<shift - 1)
}

// Quantile is the duration that a share q of the operations did not exceed.
func (h *Histogram) Quantile(q float64) time.Duration {
	var total, sum uint64
	for _, n := range h.Counts {
		total += n
	}
	for b, n := range h.Counts {
		sum += n
		if n > 0 && float64(sum) >= q*float64(total) {
			return min(upper(b), h.Max)
		}
	}
	return h.Max
}

// Quantiles of a Latency, in its order.
var Quantiles = []float64{0.01, 0.10, 0.25, 0.50, 0.75, 0.90, 0.99, 0.999}

// Latency is a distribution: what is reported of a histogram, in nanoseconds.
type Latency struct {
	N         uint64  `json:"n"`
	P50       int64   `json:"p50"`
	P99       int64   `json:"p99"`
	Max       int64   `json:"max"`
	Quantiles []int64 `json:"quantiles"` // see Quantiles
}

// Latency of what was counted; nil if nothing was.
func (h *Histogram) Latency() *Latency {
	l := &Latency{Max: int64(h.Max)}
	for _, n := range h.Counts {
		l.N += n
	}
	if l.N == 0 {
		return nil
	}
	for _, q := range Quantiles {
		l.Quantiles = append(l.Quantiles, int64(h.Quantile(q)))
	}
	l.P50, l.P99 = int64(h.Quantile(0.5)), int64(h.Quantile(0.99))
	return l
}
