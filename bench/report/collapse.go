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
			was := old.Cell(c.Name)
			if c.Kind != measure.Limit || c.Ratio == 0 || was == nil || was.Ratio == 0 {
				continue
			}
			compared++
			if c.Ratio < was.Ratio/2 {
				bad = append(bad, Collapse{row.Name, c.Name, was.Ratio, c.Ratio})
			}
		}
	}
	return bad, compared
}
