package realdisk

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
)

// createTask is what a child does that creates one database after the other,
// with one commit each, until something fails.
type createTask struct {
	Dir     string
	Process int
}

func runCreate(task createTask) error {
	opts := durus.Options{Check: durus.CheckNothing, FS: recordingFS()}
	if err := tell("ready"); err != nil {
		return err
	}
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for i := int64(1); ; i++ {
		db, err := durus.Open(filepath.Join(task.Dir, fmt.Sprintf("db%d", i)), &opts)
		if err == nil {
			if _, err = transact(db, task.Process, i); err == nil {
				err = tell("ok %d %d: well", i, monotonic())
			}
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			return tell("failed %d %d: %s", i, monotonic(), oneLine(err))
		}
	}
}

// The power is cut while databases are created, by one process or by two at
// once: there is no file, or a whole one, and where a commit was acknowledged
// there is one, with it. C1 to C4 of RELIABILITY, N6, F17
func TestTorturePowerCutCreate(t *testing.T) {
	for i := range filesystems {
		kind := &filesystems[i]
		t.Run(kind.name, func(t *testing.T) {
			rnd := newRand(t)
			d := newDisk(t, kind)
			begin, limit := time.Now(), lasts(t, time.Second)
			explained := make(explanations)
			cuts, made, acked := 0, 0, 0
			for ; !t.Failed() && (time.Since(begin) < limit || cuts < 2); cuts++ {
				dir := filepath.Join(d.dir, fmt.Sprint(cuts))
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				d.sync()
				c := &crew{t: t}
				for p := 1; p <= 1+rnd.IntN(2); p++ {
					c.writers = append(c.writers, c.hire("create", createTask{dir, p}))
					c.numbers = append(c.numbers, p)
				}
				for _, w := range c.writers {
					w.expect("ready")
				}
				for _, w := range c.writers {
					w.say("go")
				}
				time.Sleep(time.Duration(rnd.Int64N(int64(15 * time.Millisecond))))
				a := newAccount()
				a.until = monotonic()
				d.cut(dropLog - rnd.IntN(2))
				over := monotonic()
				c.dismiss(a)
				d.unmount()
				d.mount()

				found, err := readFiles(dir)
				if err != nil {
					t.Fatal(err)
				}
				disk, certain, err := replay(nil, history(c.recordings, a.until, over))
				if err == nil {
					err = explained.explain(disk, certain, found)
				}
				if err != nil {
					t.Errorf("cut %d: the memory disk cannot explain it: %v", cuts, err)
				}
				n, err := judgeCreated(dir, a)
				if err != nil {
					t.Errorf("cut %d: %v\n%s", cuts, err, a.complaints())
				}
				made += n
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				acked += a.count("ok")
			}
			t.Logf("%d cuts, %.1f/s; %d databases are there, %d commits were acknowledged; explained by the memory disk: %v",
				cuts, float64(cuts)/time.Since(begin).Seconds(), made, acked, explained)
		})
	}
}

// judgeCreated judges every database that may be in a directory.
func judgeCreated(dir string, a *account) (made int, err error) {
	most := int64(1)
	for _, of := range a.verdicts {
		for i := range of {
			most = max(most, i)
		}
	}
	var all []error
	for i := int64(1); i <= most; i++ {
		path := filepath.Join(dir, fmt.Sprintf("db%d", i))
		_, missing := os.Lstat(path)
		own, acked := newAccount(), false
		for p, of := range a.verdicts {
			if v, ok := of[i]; ok {
				own.verdicts[p][i] = v
				acked = acked || v == "ok"
				if v == "failed" { // it was told after the cut, which counts for nothing
					own.verdicts[p][i] = ""
				}
			}
		}
		switch {
		case missing == nil:
			made++
		case !errors.Is(missing, fs.ErrNotExist):
			all = append(all, missing)
			continue
		case acked:
			all = append(all, fmt.Errorf("db%d is gone, and a commit to it was acknowledged", i))
			continue
		default:
			all = append(all, openAndClose(path))
		}
		if _, err := judge(path, own, leniency{}); err != nil {
			all = append(all, fmt.Errorf("db%d: %w", i, err))
		}
		if left, err := filepath.Glob(path + ".new.*"); missing != nil && (err != nil || len(left) > 0) {
			all = append(all, fmt.Errorf("left behind: %s %w", strings.Join(left, " "), err))
		}
	}
	return made, errors.Join(all...)
}
