package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/durusdb/durus/bench/measure"
)

// WriteRow prints a row as a small table: medians, and how durus compares.
func WriteRow(w io.Writer, row measure.Row) error {
	if _, err := fmt.Fprintf(w, "\n%s: %s (%s)\n", row.Workload, row.Name, row.Unit); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range row.Cells {
		if c.Skipped != "" {
			fmt.Fprintf(t, "  %s\t-\t%s\t\t\t\n", c.Name, c.Skipped)
			continue
		}
		ratio, latency := "", ""
		if c.Ratio != 0 {
			ratio = fmt.Sprintf("durus x%s (%s-%s)", number(c.Ratio), number(c.Low), number(c.High))
		}
		if c.Latency != nil {
			latency = fmt.Sprintf("p50 %s  p99 %s  max %s", short(c.Latency.P50), short(c.Latency.P99), short(c.Latency.Max))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t\n", c.Name, number(c.Median), ratio, latency, extras(c))
	}
	return t.Flush()
}

// WriteStanding prints which aims are met.
func (r *Report) WriteStanding(w io.Writer) error {
	if len(r.Standing) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nwhere it must stand")
	for _, s := range r.Standing {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", verdict(s.Met), s.Aim, s.Measured)
	}
	return t.Flush()
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "NOT MET"
}

func extras(c measure.Cell) string {
	var parts []string
	for _, name := range []string{"times_one_goroutine", "fairness", "allocations_per_load", "open_ms", "read_ms", "us_after_return", "commits_of_the_writer", "objects_per_s", "lock_ms", "memory_mb", "commit_max_ms"} {
		if v, ok := c.Extra[name]; ok {
			parts = append(parts, strings.ReplaceAll(name, "_", " ")+" "+number(v))
		}
	}
	return strings.Join(parts, ", ")
}

// number with three digits that mean something.
func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// short is a duration in ns with two digits or three.
func short(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= 10*time.Microsecond:
		return d.Round(time.Microsecond).String()
	default:
		return d.Round(10 * time.Nanosecond).String()
	}
}
