package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/durusdb/durus/bench/measure"
)

const (
	chartWidth = 760.0
	labelWidth = 150.0
	barHeight  = 22.0
)

// class of a contender: its colour is the same in every chart.
func class(c measure.Cell) string {
	switch c.Kind {
	case measure.Limit:
		return "limit"
	case measure.Other:
		return "other"
	}
	return c.Name
}

// ratioChart draws, for each contender of a row, how many times as good durus was:
// the median of the rounds as a bar from 1, the smallest and the greatest as a line.
func ratioChart(row measure.Row) string {
	var cells []measure.Cell
	low, high := 1.0, 1.0
	for _, c := range row.Cells {
		if c.Ratio > 0 {
			cells = append(cells, c)
			low, high = min(low, c.Low), max(high, c.High)
		}
	}
	if len(cells) == 0 {
		return ""
	}
	s := newSVG(chartWidth, barHeight*float64(len(cells))+30, row.Name)
	x := newScale(low, high, labelWidth, chartWidth-70)
	bottom := barHeight * float64(len(cells))
	for _, v := range x.ticks() {
		s.line("grid", x.at(v), 0, x.at(v), bottom)
		s.text("axis", "middle", x.at(v), bottom+16, plain(v)+"×")
	}
	for i, c := range cells {
		y := float64(i) * barHeight
		from, to := x.at(1), x.at(c.Ratio)
		s.text("label", "end", labelWidth-8, y+15, c.Name)
		s.rect("bar "+class(c), fmt.Sprintf("durus is %s times %s: median of the rounds; %s to %s", number(c.Ratio), c.Name, number(c.Low), number(c.High)), min(from, to), y+4, math.Abs(to-from), barHeight-8)
		s.line("spread", x.at(c.Low), y+barHeight/2, x.at(c.High), y+barHeight/2)
		s.line("spread", x.at(c.Low), y+7, x.at(c.Low), y+barHeight-7)
		s.line("spread", x.at(c.High), y+7, x.at(c.High), y+barHeight-7)
		s.text("label", "start", max(x.at(c.High), x.at(1))+6, y+15, number(c.Ratio)+"×")
	}
	s.line("one", x.at(1), 0, x.at(1), bottom)
	return s.String()
}

// latencyChart draws the distribution of single operations: a line from the first
// percentile to 99.9, a box around the middle half, a tick at the median, a dot at
// the longest.
func latencyChart(row measure.Row) string {
	var cells []measure.Cell
	low, high := math.Inf(1), 0.0
	for _, c := range row.Cells {
		if l := c.Latency; l != nil && len(l.Quantiles) == len(measure.Quantiles) {
			cells = append(cells, c)
			low, high = min(low, float64(max(l.Quantiles[0], 1))), max(high, float64(l.Max))
		}
	}
	if len(cells) == 0 {
		return ""
	}
	s := newSVG(chartWidth, barHeight*float64(len(cells))+30, "latency: "+row.Name)
	x := newScale(low, high, labelWidth, chartWidth-20)
	bottom := barHeight * float64(len(cells))
	for _, v := range x.ticks() {
		s.line("grid", x.at(v), 0, x.at(v), bottom)
		s.text("axis", "middle", x.at(v), bottom+16, short(int64(v)))
	}
	for i, c := range cells {
		q, y := c.Latency.Quantiles, float64(i)*barHeight+barHeight/2
		at := func(i int) float64 { return x.at(float64(max(q[i], 1))) }
		title := fmt.Sprintf("%s: p1 %s, p25 %s, p50 %s, p75 %s, p99 %s, p99.9 %s, max %s; %d operations", c.Name,
			short(q[0]), short(q[2]), short(q[3]), short(q[4]), short(q[6]), short(q[7]), short(c.Latency.Max), c.Latency.N)
		s.text("label", "end", labelWidth-8, y+4, c.Name)
		s.line("whisker "+class(c), at(0), y, at(7), y)
		s.rect("bar "+class(c), title, at(2), y-6, at(4)-at(2), 12)
		s.line("median", at(3), y-7, at(3), y+7)
		s.line("whisker "+class(c), at(6), y-5, at(6), y+5)
		s.dot("bar "+class(c), title, x.at(float64(c.Latency.Max)), y, 3)
	}
	return s.String()
}

// curveChart draws the medians of rows that differ in X.
func curveChart(rows []measure.Row) string {
	lowX, highX, lowY, highY := math.Inf(1), 0.0, math.Inf(1), 0.0
	var names []string
	kinds := map[string]measure.Cell{}
	for _, row := range rows {
		lowX, highX = min(lowX, row.X), max(highX, row.X)
		for _, c := range row.Cells {
			if c.Median <= 0 {
				continue
			}
			lowY, highY = min(lowY, c.Median), max(highY, c.Median)
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
				kinds[c.Name] = c
			}
		}
	}
	if highY == 0 {
		return ""
	}
	const height, left, right, top = 300.0, 60.0, 170.0, 12.0
	s := newSVG(chartWidth, height+40, rows[0].Curve)
	x, y := scale{math.Log10(lowX), math.Log10(highX), left + 10, chartWidth - right}, newScale(lowY, highY, height, top)
	for _, v := range y.ticks() {
		s.line("grid", left, y.at(v), chartWidth-right, y.at(v))
		s.text("axis", "end", left-6, y.at(v)+4, plain(v))
	}
	for _, row := range rows {
		s.line("grid", x.at(row.X), top, x.at(row.X), height)
		s.text("axis", "middle", x.at(row.X), height+16, plain(row.X))
	}
	s.text("axis", "middle", (left+chartWidth-right)/2, height+34, rows[0].XName)
	type end struct {
		name string
		y    float64
	}
	var ends []end
	for _, name := range names {
		var points []point
		for _, row := range rows {
			if c := row.Cell(name); c != nil && c.Median > 0 {
				points = append(points, point{x.at(row.X), y.at(c.Median)})
				s.dot("bar "+class(*c), fmt.Sprintf("%s, %s: %s %s", name, plain(row.X), number(c.Median), row.Unit), x.at(row.X), y.at(c.Median), 3.5)
			}
		}
		s.path("curve "+class(kinds[name]), points)
		ends = append(ends, end{name, points[len(points)-1].y})
	}
	// Names stand beside the ends of their curves, but not on each other.
	slices.SortFunc(ends, func(a, b end) int { return int(a.y*10 - b.y*10) })
	last := 0.0
	for _, e := range ends {
		at := max(e.y+4, last+14)
		last = at
		s.text("label name "+class(kinds[e.name]), "start", chartWidth-right+12, at, e.name)
	}
	return s.String()
}

// plain is a number of an axis.
func plain(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%gk", v/1e3)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
