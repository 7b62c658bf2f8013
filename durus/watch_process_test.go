package durus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/pack"
)

// watcherEnv makes the test binary a process that watches: the file's path, what
// to do and the transaction to begin behind.
const watcherEnv = "DURUS_TEST_WATCHER"

// watcher prints a line for each change until its standard input ends. With
// "commit" it commits every two milliseconds instead, and prints when each
// commit was reported.
func watcher(spec string) int {
	parts := strings.Split(spec, "|")
	path, kind := parts[0], parts[1]
	after, _ := ParseTID(parts[2])
	db, err := Open(path, &Options{ReadOnly: kind == "read", Check: CheckNothing})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for kind == "commit" && ctx.Err() == nil {
		var tid TID
		if err := db.Update(ctx, func(tx *Tx) error {
			a := Must(Must(theBank.Load(tx)).Accounts["a"].Edit(tx))
			a.Balance++
			tx.OnCommit(func(t TID) { tid = t })
			return nil
		}); err != nil {
			break
		}
		fmt.Println(tid, time.Now().UnixNano())
		time.Sleep(2 * time.Millisecond)
	}
	for c, err := range db.Watch(ctx, after) {
		if ctx.Err() != nil {
			return 0
		}
		if err != nil {
			fmt.Println("error:", err)
			return 1
		}
		fmt.Println(changeLine(c))
	}
	return 0
}

// changeLine is all of a change, on a line that begins with its transaction.
func changeLine(c Change) string {
	return fmt.Sprint(c.TID, " ", c.Time.UnixMicro(), " ", c.OIDs, c.Classes)
}

// watcherProcess is a watcher and the lines that it has printed, and those that
// it goes on behind.
type watcherProcess struct {
	path, kind string
	cmd        *exec.Cmd
	in         io.WriteCloser
	ended      chan struct{}

	mu    sync.Mutex
	lines []string
}

func (w *watcherProcess) start(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.cmd, w.ended = exec.CommandContext(t.Context(), exe), make(chan struct{})
	w.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%s", watcherEnv, w.path, w.kind, w.last()))
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.ended)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil { // what is not a whole line was not dealt with
				return
			}
			w.mu.Lock()
			w.lines = append(w.lines, strings.TrimSuffix(line, "\n"))
			w.mu.Unlock()
		}
	}()
}

// last is the transaction of the last line.
func (w *watcherProcess) last() TID {
	w.mu.Lock()
	defer w.mu.Unlock()
	word, _, _ := strings.Cut(w.lines[len(w.lines)-1], " ")
	n, _ := strconv.ParseUint(word, 10, 64)
	return TID(n)
}

// end lets it end, or kills it.
func (w *watcherProcess) end(kill bool) error {
	if kill {
		_ = w.cmd.Process.Kill()
	} else {
		_ = w.in.Close()
	}
	<-w.ended
	if err := w.cmd.Wait(); !kill {
		return err
	}
	return nil
}

// Three processes watch what four write, and one more of this process. Writers
// and watchers are killed, and the file is packed all the time. All see the
// same: whole, in order, once, and all that was acknowledged.
func TestWatchOfProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "a.durus")
	db := openAt(t, path, nil)
	t.Cleanup(func() { verify(t, db) })
	openAccounts(t, db, 500, 500)
	update(t, db, func(tx *Tx) error { Must(theWorkplace.Load(tx)); return nil })
	first := last(t, db)

	var watchers []*watcherProcess
	for _, kind := range []string{"write", "read", "write"} {
		w := &watcherProcess{path: path, kind: kind, lines: []string{first.String()}}
		w.start(t)
		watchers = append(watchers, w)
	}
	want := []string{first.String()}
	var at atomic.Uint64 // the last of want
	ctx, cancel := context.WithCancel(t.Context())
	var seen sync.WaitGroup
	seen.Go(func() {
		for c, err := range db.Watch(ctx, first) {
			if err != nil {
				return
			}
			want = append(want, changeLine(c))
			at.Store(uint64(c.TID))
		}
	})
	writers := []*worker{startWriter(t, path, "append", 0), startWriter(t, path, "random", 1)}
	banks := []*childProcess{startChild(t, path), startChild(t, path)} // whose commits are synced
	transfers := make([]int, len(banks))
	var reading sync.WaitGroup
	for i, c := range banks {
		reading.Go(func() {
			for lines := bufio.NewScanner(c.out); lines.Scan(); transfers[i]++ {
				if !strings.HasPrefix(lines.Text(), "done") {
					t.Errorf("a child said %q", lines.Text())
				}
			}
		})
	}
	kills, packs, acks := 0, 0, 0
	for end := time.Now().Add(2 * killSeconds()); time.Now().Before(end); {
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
		w := watchers[rand.IntN(3)]
		if err := w.end(true); err != nil {
			t.Fatal(err)
		}
		i := rand.IntN(2)
		writers[i].killed = true
		_ = writers[i].cmd.Process.Kill()
		<-writers[i].ended
		_ = writers[i].cmd.Wait()
		acks += writers[i].done
		writers[i] = startWriter(t, path, writers[i].kind, 2+kills)
		kills += 2
		// What nobody has dealt with yet is kept.
		from := w.last()
		for _, w := range watchers {
			from = min(from, w.last())
		}
		if _, err := db.Pack(t.Context(), pack.Options{KeepFrom: from}); err != nil {
			t.Fatal(err)
		}
		packs++
		w.start(t)
	}
	for _, w := range writers {
		_ = w.in.Close()
		<-w.ended
		_ = w.cmd.Wait()
		acks += w.done
	}
	for _, c := range banks {
		_ = c.in.Close()
	}
	reading.Wait()
	for i, c := range banks {
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
		acks += transfers[i]
	}

	newest := last(t, db)
	catchUp := func(who string, at func() TID) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); at() != newest; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s has come to %s, the newest is %s", who, at(), newest)
			}
		}
	}
	catchUp("this process", func() TID { return TID(at.Load()) })
	cancel()
	seen.Wait()
	for _, w := range watchers {
		catchUp("a watcher", w.last)
		if err := w.end(false); err != nil {
			t.Error(err)
		}
	}
	for i, w := range watchers {
		if !slices.Equal(w.lines, want) {
			n := 0
			for n < len(want) && n < len(w.lines) && want[n] == w.lines[n] {
				n++
			}
			t.Errorf("watcher %d has %d changes, this process %d; they differ from number %d on", i, len(w.lines), len(want), n)
		}
	}
	if len(want)-1 < acks {
		t.Errorf("%d commits were acknowledged and %d seen", acks, len(want)-1)
	}
	t.Logf("%d changes, %d acknowledged, %d kills, %d packs", len(want)-1, acks, kills, packs)
}

// BenchmarkWatch tells how long after a commit was reported to its process
// another one has the change; before it is a negative time.
func BenchmarkWatch(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.durus")
	db, err := Open(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	openAccounts(b, db, 500, 500)
	after, err := db.LastTID()
	if err != nil {
		b.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), exe)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|commit|0", watcherEnv, path))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	seen := map[TID]int64{}
	n := 0
	for c, err := range db.Watch(b.Context(), after) {
		if err != nil {
			b.Fatal(err)
		}
		seen[c.TID] = time.Now().UnixNano()
		if n++; n == max(b.N, 100) {
			break
		}
	}
	_ = in.Close()
	var late []time.Duration
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var tid, reported int64
		if _, err := fmt.Sscan(lines.Text(), &tid, &reported); err != nil {
			break
		}
		if at, ok := seen[TID(tid)]; ok {
			late = append(late, time.Duration(at-reported))
		}
	}
	_ = cmd.Wait()
	slices.Sort(late)
	if len(late) < 50 {
		b.Fatalf("%d of %d commits were seen", len(late), n)
	}
	b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
}
