package report

import "github.com/durusdb/durus/bench/measure"

// Collapse is a row in which durus reaches less than half of the share of a limit
// that it once did.
type Collapse struct {
	Row, Limit string
	Was, Now   float64
}

// Collapsed compares the shares of limits in rows with those of this report, and
// says how many it has compared. Absolute times are not looked at: machines differ.
func (r *Report) Collapsed(rows []measure.Row) (bad []Collapse, compared int) {
	for i := range rows {
		row := &rows[i]
		old := r.find(row.Workload, row.Name)
		if old == nil {
			continue
		}
		for _, c := range row.Cells {
			if c.Kind != measure.Limit {
				continue
			}
			was, now := share(old, c.Name), share(row, c.Name)
			if was == 0 || now == 0 {
				continue
			}
			compared++
			if now < was/2 {
				bad = append(bad, Collapse{row.Name, c.Name, was, now})
			}
		}
	}
	return bad, compared
}

// share of a limit that durus reaches: 1 is all of it, 0 is unknown. Where single
// operations were timed it is that of their medians, which a few syncs that waited
// for somebody else's do not move.
func share(row *measure.Row, limit string) float64 {
	ours, best := row.Cell("durus"), row.Cell(limit)
	switch {
	case ours == nil || best == nil:
		return 0
	case ours.Latency != nil && best.Latency != nil && ours.Latency.P50 > 0:
		return float64(best.Latency.P50) / float64(ours.Latency.P50)
	}
	return best.Ratio
}
