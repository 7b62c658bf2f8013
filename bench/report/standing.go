package report

import (
	"fmt"
	"strings"

	"github.com/durusdb/durus/bench/measure"
)

// Standing is one of the aims, and whether this run met it.
type Standing struct {
	Aim      string `json:"aim"`
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

// Judge fills Standing with the aims that the rows tell about.
func (r *Report) Judge() {
	r.Standing = nil
	add := func(aim string, met bool, format string, a ...any) {
		r.Standing = append(r.Standing, Standing{aim, fmt.Sprintf(format, a...), met})
	}
	if row := r.find("micro", "durable commit of one object"); row != nil {
		c := row.Cell("append+fdatasync")
		add("durable commit of one object: at least 0.95 of a loop of append and fdatasync", c.Ratio >= 0.95 && share(row, c.Name) >= 0.95,
			"%.2f (%.2f to %.2f) by throughput, %.2f by the median time of one", c.Ratio, c.Low, c.High, share(row, c.Name))
	}
	if row := r.find("micro", "durable commits of 16 goroutines"); row != nil {
		x := row.Cell("durus").Extra["times_one_goroutine"]
		add("16 goroutines: at least 5 times the durable commits of one", x >= 5, "%.1f times", x)
	}
	if row := r.find("micro", "unsynced commit of one object"); row != nil {
		met, text := ahead(row, "pebble")
		if text != "" {
			add("unsynced commit: ahead of bbolt, both SQLites, badger, LMDB, buntdb", met, "%s", text)
		}
	}
	if row := r.find("processes", "4 processes, durable commits, disjoint objects"); row != nil {
		r.fourProcesses(row, add)
	}
	if row := r.find("micro", "hot object"); row != nil {
		c := row.Cell("durus")
		allocations := c.Extra["allocations_per_load"]
		add("hot object: at most 20 ns, no allocation", c.Median <= 20 && allocations < 0.01, "%.1f ns, %.3f allocations", c.Median, allocations)
	}
	if row := r.find("micro", "View with an empty body"); row != nil {
		c := row.Cell("durus")
		add("View with an empty body: at most 1 us", c.Median <= 1000, "%.0f ns", c.Median)
	}
	if row := r.find("micro", "cold object (page cache warm)"); row != nil {
		c := row.Cell("pread+decode")
		add("cold object: at most 1.3 times pread and decode", 1/c.Ratio <= 1.3, "%.2f times", 1/c.Ratio)
		if b := row.Cell("bbolt"); b != nil {
			add("cold object: ahead of bbolt with msgpack", b.Ratio > 1, "%.2f times as fast", b.Ratio)
		}
	}
	if row := r.find("growth", "open and first read, 10000000 objects"); row != nil {
		c, memory := row.Cell("durus"), r.find("growth", "private memory, 10000000 objects").Cell("durus")
		add("open with 10^7 objects and a checkpoint: under 10 ms", c.Extra["open_ms"] < 10, "%.1f ms, with the first read %.1f ms", c.Extra["open_ms"], c.Median)
		add("... and under 10 MB of private memory", memory.Median < 10, "%.1f MB", memory.Median)
	}
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Workload == "pack" {
			c, limit := row.Cell("durus"), row.Cell("copy+fsync")
			add("pack: at least half the speed of copying the live bytes", limit.Ratio >= 0.5, "%.2f (%.0f MB/s)", limit.Ratio, c.Median)
			add("pack: no commit of another process waits longer than 50 ms", c.Latency.Max <= 50e6,
				"%.0f ms at most, %.0f ms of it for the lock of the pack; %.0f ms while a file is copied", float64(c.Latency.Max)/1e6, c.Extra["lock_ms"], float64(limit.Latency.Max)/1e6)
		}
	}
}

// ahead says whether durus is ahead of each peer but one, and by what; nothing
// when there is no peer.
func ahead(row *measure.Row, but string) (met bool, text string) {
	met = true
	var parts []string
	for _, c := range row.Cells {
		if c.Kind != measure.Peer || c.Skipped != "" {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %.1f", c.Name, c.Ratio))
		if c.Name != but && c.Ratio <= 1 {
			met = false
		}
	}
	if len(parts) == 0 {
		return false, ""
	}
	return met, "times as fast as " + strings.Join(parts, ", ")
}

func (r *Report) fourProcesses(row *measure.Row, add func(aim string, met bool, format string, a ...any)) {
	var best *measure.Cell
	for i := range row.Cells {
		if c := &row.Cells[i]; c.Kind == measure.Peer && c.Skipped == "" && (best == nil || c.Median > best.Median) {
			best = c
		}
	}
	if best != nil {
		add("4 processes, durable: at least 1.8 times the best peer", best.Ratio >= 1.8, "%.1f times %s (%.1f to %.1f)", best.Ratio, best.Name, best.Low, best.High)
	}
	c := row.Cell("durus")
	add("... slowest process at least 0.8 of the mean", c.Extra["fairness"] >= 0.8, "%.2f", c.Extra["fairness"])
	add("... 99 of 100 commits under 3 ms", c.Latency.P99 < 3e6, "%.1f ms", float64(c.Latency.P99)/1e6)
}
