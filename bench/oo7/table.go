package oo7

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes a measurement as a table.
func (m *Measurement) Print(w io.Writer) error {
	fmt.Fprintf(w, "OO7 %s, median of %d rounds; in brackets: times as long as %s\n\n", m.Config, m.Rounds, m.Generations[0].Contender)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\t")
	for _, g := range m.Generations {
		fmt.Fprintf(t, "%s\t", g.Contender)
	}
	fmt.Fprint(t, "\ngenerated in\t")
	for _, g := range m.Generations {
		fmt.Fprintf(t, "%s\t", duration(g.Seconds))
	}
	fmt.Fprint(t, "\nopened in\t")
	for _, g := range m.Generations {
		fmt.Fprintf(t, "%s\t", duration(g.Opened))
	}
	fmt.Fprint(t, "\nsize, MB\t")
	for _, g := range m.Generations {
		fmt.Fprintf(t, "%.1f\t", float64(g.Bytes)/1e6)
	}
	fmt.Fprint(t, "\n\n")
	if err := t.Flush(); err != nil {
		return err
	}
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "operation\tcount\trun\t")
	for _, g := range m.Generations {
		fmt.Fprintf(t, "%s\t\t", g.Contender)
	}
	fmt.Fprintln(t)
	for _, r := range m.Results {
		for _, row := range []struct {
			name string
			of   func(Times) float64
		}{
			{"cold", func(t Times) float64 { return t.Cold }},
			{"hot", func(t Times) float64 { return t.Hot }},
			{"one", func(t Times) float64 { return t.One }},
		} {
			if row.of(r.Timings[0].Median) == 0 {
				continue
			}
			fmt.Fprintf(t, "%s\t%d\t%s\t", r.Operation, r.Count, row.name)
			for i, v := range r.Timings {
				ratio := ""
				if i > 0 {
					ratio = fmt.Sprintf("(%.3g)", row.of(v.Ratio))
				}
				fmt.Fprintf(t, "%s\t%s\t", duration(row.of(v.Median)), ratio)
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}

// duration spells seconds with three digits.
func duration(s float64) string {
	switch {
	case s < 1e-3:
		return fmt.Sprintf("%.3g µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.3g ms", s*1e3)
	}
	return fmt.Sprintf("%.3g s", s)
}
