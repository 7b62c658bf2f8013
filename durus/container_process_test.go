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
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/internal/collection"
)

// writerEnv makes the test binary a process that writes to containers: the
// file's path, what it does and its number.
const writerEnv = "DURUS_TEST_WRITER"

// workplace has the containers that the writers share.
type workplace struct {
	Ordered BTree[int, int]    // keys of a writer follow each other
	Random  BTree[int, string] // any keys, of all
	Spread  Dict[string, int]
	Names   Set[string]
	Log     List[string]
	Done    Counter
}

var (
	_            = Register[workplace]("test.Workplace")
	theWorkplace = NewRoot[workplace]("workplace")
)

const (
	keysOfWriter = 1 << 20
	randomKeys   = 3000
)

// writer commits again and again until its standard input ends, and says so
// each time.
func writer(spec string) int {
	parts := strings.Split(spec, "|")
	path, kind := parts[0], parts[1]
	id, _ := strconv.Atoi(parts[2])
	return live(path, Options{MaxRetries: 1000, Sync: SyncNever}, func(db *DB, i int) error {
		said := fmt.Sprintf("done %d", i)
		err := db.Update(context.Background(), func(tx *Tx) error {
			w, err := theWorkplace.Load(tx)
			if err != nil {
				return err
			}
			if kind == "random" {
				said = fmt.Sprintf("done %d", i)
				for range 3 {
					k := rand.IntN(randomKeys)
					_ = w.Random.Put(tx, k, fmt.Sprint(id, "/", i))
					said += " " + strconv.Itoa(k)
				}
				return nil
			}
			_ = w.Ordered.Put(tx, id*keysOfWriter+i, id)
			_ = w.Spread.Put(tx, fmt.Sprint(id, "/", i), i)
			_ = w.Names.Add(tx, fmt.Sprint(id, "/", i))
			_ = w.Log.Append(tx, fmt.Sprint(id, "/", i))
			return w.Done.Add(tx, 1)
		})
		if err == nil {
			fmt.Println(said)
		}
		return err
	})
}

// worker is a writer and what it has said.
type worker struct {
	id    int
	kind  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	ended chan struct{}

	mu     sync.Mutex
	done   int   // commits it has acknowledged
	random []int // keys
	wrong  string
	killed bool
}

func startWriter(t *testing.T, path, kind string, id int) *worker {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{id: id, kind: kind, cmd: exec.CommandContext(t.Context(), exe), ended: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", writerEnv, path, kind, id))
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
		for lines := bufio.NewScanner(out); lines.Scan(); {
			words := strings.Fields(lines.Text())
			w.mu.Lock()
			if len(words) < 2 || words[0] != "done" || words[1] != strconv.Itoa(w.done) {
				w.wrong = lines.Text()
			}
			w.done++
			for _, k := range words[min(2, len(words)):] {
				n, _ := strconv.Atoi(k)
				w.random = append(w.random, n)
			}
			w.mu.Unlock()
		}
	}()
	return w
}

// killSeconds is how long processes are killed: DURUS_KILL_SECONDS, or a moment.
func killSeconds() time.Duration {
	if n, err := strconv.ParseFloat(os.Getenv("DURUS_KILL_SECONDS"), 64); err == nil {
		return time.Duration(n * float64(time.Second))
	}
	return 1500 * time.Millisecond
}

// Four processes append keys of their own to one tree, four write random keys of
// another, and any of them is killed now and then: every acknowledged commit is
// there, whole and once, of each killed process at most one more, and the
// containers are whole. D1 D4 D10
func TestContainersOfProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "test.durus")
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		verify(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	update(t, db, func(tx *Tx) error { Must(theWorkplace.Load(tx)); return nil })

	var all, running []*worker
	start := func(kind string) {
		w := startWriter(t, path, kind, len(all))
		all, running = append(all, w), append(running, w)
	}
	for range 4 {
		start("append")
		start("random")
	}
	for end := time.Now().Add(killSeconds()); time.Now().Before(end); {
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		i := rand.IntN(len(running))
		w := running[i]
		w.killed = true
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		running = append(running[:i], running[i+1:]...)
		start(w.kind)
		// Whatever moment it is, the whole is consistent.
		view(t, db, func(tx *Tx) error {
			p := Must(theWorkplace.Load(tx))
			n := Must(p.Ordered.Len(tx))
			if a, b, c, d := Must(p.Spread.Len(tx)), Must(p.Names.Len(tx)), Must(p.Log.Len(tx)), Must(p.Done.Value(tx)); a != n || b != n || c != n || d != int64(n) {
				t.Errorf("lengths %d, %d, %d, %d, and %d done", n, a, b, c, d)
			}
			return nil
		})
	}
	for _, w := range running {
		_ = w.in.Close()
	}
	kills, acks := 0, 0
	for _, w := range all {
		<-w.ended
		err := w.cmd.Wait()
		if w.wrong != "" || err != nil && !w.killed {
			t.Errorf("writer %d: %q, %v", w.id, w.wrong, err)
		}
		if w.killed {
			kills++
		}
		acks += w.done
	}
	checkWorkplace(t, db, all)
	t.Logf("%d commits were acknowledged, %d processes were killed", acks, kills)
}

func checkWorkplace(t *testing.T, db *DB, all []*worker) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		p := Must(theWorkplace.Load(tx))
		next := map[int]int{} // of each writer
		n := 0
		for k, id := range p.Ordered.All(tx) {
			if k/keysOfWriter != id || k%keysOfWriter != next[id] {
				t.Fatalf("key %d of writer %d, the next one is %d", k, id, next[id])
			}
			next[id]++
			n++
			name := fmt.Sprint(id, "/", k%keysOfWriter)
			if v, ok := Must2(p.Spread.Get(tx, name)); !ok || v != k%keysOfWriter {
				t.Fatalf("%s is %d, %v in the dict", name, v, ok)
			}
			if !Must(p.Names.Has(tx, name)) {
				t.Fatalf("%s is not in the set", name)
			}
		}
		for _, w := range all {
			most := w.done
			if w.killed {
				most++
			}
			if w.kind == "append" && (next[w.id] < w.done || next[w.id] > most) {
				t.Errorf("writer %d: %d commits acknowledged, %d are there, killed %v", w.id, w.done, next[w.id], w.killed)
			}
		}
		logged := map[int]int{}
		for i, line := range p.Log.All(tx) {
			var id, at int
			if _, err := fmt.Sscanf(line, "%d/%d", &id, &at); err != nil || at != logged[id] {
				t.Fatalf("line %d is %q, the next one of writer %d is %d", i, line, id, logged[id])
			}
			logged[id]++
		}
		for id, n := range next {
			if logged[id] != n {
				t.Errorf("writer %d has %d keys and %d lines", id, n, logged[id])
			}
		}
		if a, b, c, d := Must(p.Spread.Len(tx)), Must(p.Names.Len(tx)), Must(p.Log.Len(tx)), Must(p.Done.Value(tx)); a != n || b != n || c != n || d != int64(n) {
			t.Errorf("%d keys, lengths %d, %d, %d, and %d done", n, a, b, c, d)
		}
		for _, w := range all {
			for _, k := range w.random {
				if _, ok := Must2(p.Random.Get(tx, k)); !ok {
					t.Errorf("writer %d has put key %d, and it is not there", w.id, k)
				}
			}
		}
		for k, v := range p.Random.All(tx) {
			var id, i int
			if _, err := fmt.Sscanf(v, "%d/%d", &id, &i); err != nil || id >= len(all) || i > all[id].done || i == all[id].done && !all[id].killed {
				t.Errorf("key %d has %q, which nobody has written", k, v)
			}
		}
		for name, oid := range map[string]OID{collection.ClassBTree: p.Ordered.OID(), collection.ClassDict: p.Spread.OID(), collection.ClassSet: p.Names.OID(), collection.ClassList: p.Log.OID()} {
			if _, err := collection.Check(tx.c.store(tx.c.snap, nil), uint64(oid), name); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
}
