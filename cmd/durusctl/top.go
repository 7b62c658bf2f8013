package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func (a *app) topCommand() *cobra.Command {
	interval, n := time.Second, 0
	cmd := &cobra.Command{
		Use:   "top FILE [--interval 1s] [-n N] [--json]",
		Short: "Commits, growth and processes, live",
		Long: `What all processes do to a database, once a second until it is interrupted: on a
terminal a screen that is drawn anew, elsewhere a line each time, with --json an
object. Conflicts are those that transactions met before they were committed: a
transaction that gave up leaves no trace. Processes are those that have the file
open and that you may look into (all, as root), those that write first.`,
		Example: `  durusctl top bank.durus
  durusctl top -n 5 --json bank.durus`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 0 || interval < 50*time.Millisecond {
				return usageError{"-n must not be negative, and --interval at least 50ms", cmd.CommandPath()}
			}
			return a.top(cmd.Context(), args[0], interval, n)
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", interval, "how long to count before each look")
	cmd.Flags().IntVarP(&n, "number", "n", n, "end after `N` looks; 0: go on")
	return fileArgs(cmd, 0)
}

// look is what one look shows.
type look struct {
	at        time.Time
	took      time.Duration // since the look before
	commits   uint64        // in that time
	records   uint64        // that they wrote
	conflicts uint64        // conflicts that they had met before
	growth    int64         // bytes
	state     *filestorage.LockState
	objects   uint64
	last      storage.Transaction // the newest; TID 0: none
	users     []posix.Opener
	known     bool // users is what there is
}

// rate is n a second.
func (k *look) rate(n float64) float64 { return n / k.took.Seconds() }

func (a *app) top(ctx context.Context, path string, interval time.Duration, n int) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	w := watcher{app: a, st: st}
	if _, err := w.look(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := 0; n == 0 || i < n; i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		k, err := w.look(ctx)
		if errors.Is(err, storage.ErrRewound) { // the handle goes on with what is there now
			w.last, w.before = 0, nil
			continue
		}
		if err != nil {
			return err
		}
		if err := w.show(k, i == 0); err != nil {
			return err
		}
	}
	return nil
}

// watcher looks at a database again and again.
type watcher struct {
	*app
	st      *filestorage.Storage
	before  *look
	last    storage.TID // seen
	history []float64   // commits a second, for the curve
}

func (w *watcher) look(ctx context.Context) (*look, error) {
	snap, err := w.st.Begin(ctx, false)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	k := &look{at: time.Now(), objects: w.st.Stats().Objects}
	if w.before == nil { // the newest only
		for tx, err := range w.st.History(snap, 0, snap.TID(), true) {
			if err != nil {
				return nil, err
			}
			k.last = tx
			break
		}
	} else {
		k.took, k.last = k.at.Sub(w.before.at), w.before.last
		for tx, err := range w.st.History(snap, w.last+1, snap.TID(), false) {
			if err != nil {
				return nil, err
			}
			k.commits++
			k.records += uint64(len(tx.OIDs))
			k.conflicts += tx.Conflicts()
			k.last = tx
		}
	}
	w.last = snap.TID()
	if k.state, err = w.st.LockState(ctx); err != nil {
		return nil, err
	}
	if w.before != nil {
		k.growth = k.state.End - w.before.state.End // less than nothing after a pack
	}
	k.users, k.known = posix.Openers(w.st.Path())
	slices.SortStableFunc(k.users, func(a, b posix.Opener) int { return cmp.Compare(writing(b), writing(a)) })
	w.before = k
	return k, nil
}

// writing is 1 for a process that may write.
func writing(o posix.Opener) int {
	if o.Write {
		return 1
	}
	return 0
}

func (w *watcher) show(k *look, first bool) error {
	switch {
	case w.json:
		if err := w.printJSON(topOf(k)); err != nil {
			return err
		}
	case w.color:
		w.screen(k)
	default:
		w.line(k, first)
	}
	return w.out.Flush()
}

type topJSON struct {
	Time       string        `json:"time"`
	Seconds    float64       `json:"seconds"`
	Commits    uint64        `json:"commits"`
	Records    uint64        `json:"records"`
	Conflicts  uint64        `json:"conflicts"`
	Growth     int64         `json:"growth"`
	Size       int64         `json:"size"`
	Lag        int64         `json:"lag"`
	Objects    uint64        `json:"objects"`
	LastTID    storage.TID   `json:"last_tid"`
	LockHolder int           `json:"lock_holder"` // 0: nobody, or the system cannot tell
	Processes  []processJSON `json:"processes"`   // null: the system cannot tell
}

type processJSON struct {
	PID     int    `json:"pid"`
	Write   bool   `json:"write"`
	Command string `json:"command"`
}

func topOf(k *look) topJSON {
	j := topJSON{
		Time: timeText(k.at), Seconds: k.took.Seconds(), Commits: k.commits, Records: k.records, Conflicts: k.conflicts, Growth: k.growth,
		Size: k.state.Size, Lag: k.state.End - k.state.Visible, Objects: k.objects, LastTID: k.last.TID, LockHolder: k.state.Holder,
	}
	if k.known {
		j.Processes = []processJSON{}
	}
	for _, u := range k.users {
		j.Processes = append(j.Processes, processJSON{u.PID, u.Write, u.Command})
	}
	return j
}

const topLine = "%-20s %9s %7s %7s %8s %9s %8s %5s" // 80 columns

// line is for files and pipes.
func (w *watcher) line(k *look, first bool) {
	if first {
		fmt.Fprintf(w.out, topLine+"\n", "TIME", "COMMITS/S", "CONFL/S", "OBJ/S", "GROWTH/S", "SIZE", "LAG", "PROCS")
	}
	processes := "?"
	if k.known {
		processes = strconv.Itoa(len(k.users))
	}
	fmt.Fprintf(w.out, topLine+"\n", k.at.UTC().Format("2006-01-02T15:04:05Z"), number(k.rate(float64(k.commits))), number(k.rate(float64(k.conflicts))), number(k.rate(float64(k.records))),
		shortSize(int64(k.rate(float64(k.growth)))), shortSize(k.state.Size), shortSize(k.state.End-k.state.Visible), processes)
}

// curveLength is how many looks the curve of commits shows.
const curveLength = 40

// screenFrame is how many rows of the screen are no facts and no processes.
const screenFrame = 5

// screen is for terminals.
func (w *watcher) screen(k *look) {
	var rows int
	w.width, rows = w.size() // it may have changed
	w.history = append(w.history, k.rate(float64(k.commits)))
	w.history = w.history[max(0, len(w.history)-curveLength):]
	var f facts
	f.add("commits", fmt.Sprintf("%10s/s  %s", number(k.rate(float64(k.commits))), curve(w.history)))
	f.add("conflicts", fmt.Sprintf("%10s/s  before they were committed", number(k.rate(float64(k.conflicts)))))
	f.add("objects", fmt.Sprintf("%10s/s", number(k.rate(float64(k.records)))))
	f.add("growth", fmt.Sprintf("%10s/s", shortSize(int64(k.rate(float64(k.growth))))))
	f.add("size", fmt.Sprintf("%10s, %s", shortSize(k.state.Size), objectCount(int64(k.objects))))
	f.add("lag", fmt.Sprintf("%10s appended and not on the disk yet", shortSize(k.state.End-k.state.Visible)))
	holder := "nobody at this moment"
	if k.state.Holder != 0 {
		holder = fmt.Sprintf("process %d", k.state.Holder)
	}
	f.add("lock", "held by "+holder)
	if t := &k.last; t.TID != 0 {
		f.add("last", strings.TrimSpace(fmt.Sprintf("%s, %s ago  %s %s", t.TID, ageText(k.at.Sub(t.Time)), plain(t.User), plain(t.Description))))
	}
	fmt.Fprint(w.out, "\x1b[H\x1b[2J", w.bold(plain(w.st.Path())), "  ", k.at.Format(time.TimeOnly), "\n\n")
	w.printFacts(f)
	fmt.Fprintln(w.out)
	if !k.known {
		fmt.Fprintln(w.out, "this system does not tell which processes have the file open")
		return
	}
	if len(k.users) == 0 {
		fmt.Fprintln(w.out, "no other process has it open")
		return
	}
	shown := k.users
	if room := rows - len(f) - screenFrame; rows > 0 && len(shown) > room {
		shown = shown[:max(0, room-1)]
	}
	t := table{header: []string{"PID", "MODE", "COMMAND"}, right: map[int]bool{0: true}}
	for _, u := range shown {
		mode := "read"
		if u.Write {
			mode = "write"
		}
		t.add(strconv.Itoa(u.PID), mode, cut(plain(u.Command), 60))
	}
	w.printTable(&t)
	if more := len(k.users) - len(shown); more > 0 {
		fmt.Fprintf(w.out, "and %d more\n", more)
	}
}

// curve draws values as bars, the highest as high as it goes.
func curve(values []float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	highest := 0.0
	for _, v := range values {
		highest = max(highest, v)
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if highest > 0 {
			i = int(v / highest * 7.999)
		}
		b.WriteRune([]rune(bars)[i])
	}
	return b.String()
}

// number is a rate for people.
func number(f float64) string {
	if f < 10 && f > 0 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// shortSize is a number of bytes in a column.
func shortSize(n int64) string {
	if n < 0 {
		return "-" + shortSize(-n)
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	s, _, _ := strings.Cut(sizeText(n), " (")
	return s
}

// ageText is how long ago something was.
func ageText(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
