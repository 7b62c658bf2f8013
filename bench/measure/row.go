package measure

import (
	"fmt"
	"math"
	"slices"
)

// Kinds of a cell.
const (
	Durus = "durus" // what the others of the row are compared with
	Peer  = "peer"  // another database
	Limit = "limit" // what the machine can do at best
	Other = "other" // durus in another setting, not compared
)

// Case is one contender of a row. Run measures it once and checks what it read
// and wrote; an error ends the whole run, because figures of a contender that
// does not do its work are worth nothing.
type Case struct {
	Name string
	Kind string
	Skip string // not empty: why it cannot take part; Run is not called
	Run  func() (Sample, error)
}

// Sample is what one round of one contender gave.
type Sample struct {
	Value   float64            // in the unit of the row
	Latency *Histogram         // of single operations, or nil
	Extra   map[string]float64 // more figures of the same round
}

// Row is one figure, of each contender.
type Row struct {
	Workload string  `json:"workload"`
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Less     bool    `json:"less_is_better"`
	Curve    string  `json:"curve,omitempty"` // rows of one curve differ in X
	X        float64 `json:"x,omitempty"`
	XName    string  `json:"x_name,omitempty"`
	Note     string  `json:"note,omitempty"`
	Cells    []Cell  `json:"cells"`
}

// Cell is the figure of one contender.
type Cell struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Skipped string    `json:"skipped,omitempty"`
	Rounds  []float64 `json:"rounds,omitempty"`
	Median  float64   `json:"median,omitempty"`

	// How many times as good durus was in the same round: the median, the
	// smallest and the greatest. Above 1 durus is ahead.
	Ratio float64 `json:"durus_ratio,omitempty"`
	Low   float64 `json:"durus_ratio_low,omitempty"`
	High  float64 `json:"durus_ratio_high,omitempty"`

	Latency *Latency           `json:"latency_ns,omitempty"`
	Extra   map[string]float64 `json:"extra,omitempty"` // medians
}

// Run fills a row: rounds times each of the cases, in turn.
func (r *Row) Run(rounds int, cases ...Case) error {
	samples := make([][]Sample, len(cases))
	for range rounds {
		for i, c := range cases {
			if c.Skip != "" {
				continue
			}
			s, err := c.Run()
			if err != nil {
				return fmt.Errorf("%s, %s, %s: %w", r.Workload, r.Name, c.Name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	var ours []float64
	for i, c := range cases {
		if c.Kind == Durus && c.Skip == "" {
			ours = values(samples[i])
		}
	}
	for i, c := range cases {
		r.Cells = append(r.Cells, newCell(c, samples[i], ours, r.Less))
	}
	return nil
}

func newCell(c Case, samples []Sample, ours []float64, less bool) Cell {
	cell := Cell{Name: c.Name, Kind: c.Kind, Skipped: c.Skip}
	if len(samples) == 0 {
		return cell
	}
	cell.Rounds = values(samples)
	cell.Median = Median(cell.Rounds)
	if len(ours) > 0 && (c.Kind == Peer || c.Kind == Limit) {
		var ratios []float64
		for i, theirs := range cell.Rounds {
			ratio := ours[i] / theirs
			if less {
				ratio = theirs / ours[i]
			}
			if !math.IsInf(ratio, 0) && !math.IsNaN(ratio) {
				ratios = append(ratios, ratio)
			}
		}
		if len(ratios) > 0 {
			cell.Ratio, cell.Low, cell.High = Median(ratios), slices.Min(ratios), slices.Max(ratios)
		}
	}
	var all Histogram
	extra := map[string][]float64{}
	for _, s := range samples {
		if s.Latency != nil {
			all.Merge(s.Latency)
		}
		for k, v := range s.Extra {
			extra[k] = append(extra[k], v)
		}
	}
	cell.Latency = all.Latency()
	for k, v := range extra {
		if cell.Extra == nil {
			cell.Extra = map[string]float64{}
		}
		cell.Extra[k] = Median(v)
	}
	return cell
}

// Cell returns the cell of that name, or nil.
func (r *Row) Cell(name string) *Cell {
	for i := range r.Cells {
		if r.Cells[i].Name == name {
			return &r.Cells[i]
		}
	}
	return nil
}

func values(samples []Sample) []float64 {
	v := make([]float64, len(samples))
	for i, s := range samples {
		v[i] = s.Value
	}
	return v
}

// Median of v, which is not empty.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
