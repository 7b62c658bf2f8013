package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// screen shows progress: on a terminal one line that changes, elsewhere a line
// each second.
type screen struct {
	out      io.Writer
	terminal bool
}

func newScreen(out io.Writer) screen {
	s := screen{out: out}
	if f, ok := out.(interface{ Stat() (fs.FileInfo, error) }); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s screen) every() time.Duration {
	if s.terminal {
		return 100 * time.Millisecond
	}
	return time.Second
}

func (s screen) progress(r *run) {
	all := r.sum()
	line := fmt.Sprintf("%5.1f s  %d commits, %d conflicts, %d kills, %d checks, %d failed",
		time.Since(r.begin).Seconds(), all.transfers, all.conflicts, all.kills, all.audits, len(r.wrong))
	if s.terminal {
		fmt.Fprintf(s.out, "\r%-79s", line)
	} else {
		fmt.Fprintln(s.out, line)
	}
}

func (s screen) clear() {
	if s.terminal {
		fmt.Fprintf(s.out, "\r%79s\r", "")
	}
}

// sum adds up all processes.
func (r *run) sum() process {
	all := process{name: "all"}
	for _, p := range r.workers {
		all.transfers += p.transfers
		all.hidden += p.hidden
		all.kills += p.kills
		all.conflicts += p.conflicts
		all.retries += p.retries
	}
	for _, p := range r.readers {
		all.audits += p.audits
	}
	return all
}

// table prints the outcome and tells whether all is well.
func (r *run) table() (bool, error) {
	all := r.sum()
	for _, p := range r.workers {
		all.took = append(all.took, p.took...)
	}
	w := tabwriter.NewWriter(r.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "process\tcommits\tper second\tconflicts\tretries\tkills\tp50\tp99\t")
	for _, p := range slices.Concat(r.workers, []*process{&all}) {
		slices.Sort(p.took)
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%d\t%d\t%d\t%s\t%s\t\n",
			p.name, p.transfers, float64(p.transfers)/r.took.Seconds(), p.conflicts, p.retries, p.kills,
			percentile(p.took, 50), percentile(p.took, 99))
	}
	if err := w.Flush(); err != nil {
		return false, err
	}
	if p := r.packer; p != nil {
		fmt.Fprintf(r.out, "\nPacked %d times meanwhile, %.1f MB removed, %d packs killed; commits were held up for %.2f ms at most.\n",
			p.packs, float64(p.removed)/1e6, p.kills, p.held.Seconds()*1000)
	}
	fmt.Fprintf(r.out, "\nTotal checked %d times by %d readers, and once at the end.\n", all.audits, len(r.readers))
	if len(r.wrong) > 0 {
		fmt.Fprintf(r.out, "\nFAILED: %d checks\n", len(r.wrong))
		for _, err := range r.wrong {
			fmt.Fprintf(r.out, "  %v\n", err)
		}
		return false, nil
	}
	fmt.Fprintf(r.out, "0 of %d acknowledged commits lost; %d more were committed by workers killed before they could say so.\n",
		all.transfers, all.hidden)
	fmt.Fprintln(r.out, "OK")
	return true, nil
}

// percentile of sorted durations.
func percentile(sorted []time.Duration, percent int) string {
	if len(sorted) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f ms", sorted[(len(sorted)-1)*percent/100].Seconds()*1000)
}
