//go:build linux

package torture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/internal/history"
)

// F2 of DESIGN, acceptance test 37: a plain copy of the file, taken at any
// moment while others commit, is a backup: it opens to a prefix of the history
// that is not older than what had been acknowledged when the copying began.
func TestTortureCopies(t *testing.T) {
	copies := 30
	if testing.Short() {
		copies = 5
	}
	if s := os.Getenv("DURUS_COPIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("DURUS_COPIES: %v", err)
		}
		copies = n
	}
	var logs [][]history.Commit
	torn := 0
	run := ring{
		writers: 3, goroutines: 2, workload: "mixed",
		require: history.Require{Committed: 100, Conflicts: 1},
		trouble: func(r *ringRun) {
			db, err := durus.Open(r.path, &durus.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			for i := range copies {
				log, tail := r.copied(db, i)
				logs = append(logs, log)
				if tail > 0 {
					torn++
				}
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		},
	}.run(t)
	for i, log := range logs {
		whole := run.found.Log
		if len(log) > len(whole) || !reflect.DeepEqual(log, whole[:len(log)]) {
			t.Errorf("copy %d holds %d transactions that are not the first ones of %d in the end", i, len(log), len(whole))
		}
	}
	if torn == 0 && copies >= 30 {
		t.Error("no copy had a torn end: that shows too little")
	}
	if n := len(logs); n != copies || len(logs[n-1]) < len(logs[0])+copies {
		t.Errorf("that shows too little: %d copies", n)
	}
	t.Logf("%d copies, %d of them with a torn end", len(logs), torn)
}

// copied takes a copy, checks it and returns its log, and how many bytes of an
// unfinished commit were behind it.
func (r *ringRun) copied(db *durus.DB, i int) (log []history.Commit, tail int64) {
	t := r.t
	t.Helper()
	acked, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.dir, fmt.Sprintf("copy-%d.durus", i))
	if i%2 == 0 {
		err = copySlowly(path, r.path, r.rnd)
	} else {
		err = copyPlainly(path, r.path)
	}
	if err != nil {
		t.Fatal(err)
	}
	opened, err := durus.Open(path, &durus.Options{Logger: slog.New(slog.DiscardHandler)}) // a cut end is no news
	if err != nil {
		t.Fatal(err)
	}
	// The copy has no mark. Until the handle has made what it found durable, for
	// which a View waits a moment only, it may show less (docs/concurrency.md).
	last, err := opened.LastTID()
	for deadline := time.Now().Add(10 * time.Second); err == nil && last < acked && time.Now().Before(deadline); last, err = opened.LastTID() {
		time.Sleep(time.Millisecond)
	}
	if err != nil || last < acked {
		t.Errorf("copy %d opens at transaction %d (%v), %d was acknowledged before", i, last, err, acked)
	}
	if _, err := increment(opened, "x"); err != nil { // it is a database
		t.Errorf("copy %d: %v", i, err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
	verify(t, path)
	st, err := openEngine(path)
	if err != nil {
		t.Fatal(err)
	}
	if log, err = readLog(st); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	cut, err := filepath.Glob(path + ".cut-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range cut {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		tail += info.Size()
	}
	if !t.Failed() {
		for _, name := range append(cut, path, path+".lock") {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	}
	return log[:len(log)-1], tail // without our increment
}

// copyPlainly is the command that people use.
func copyPlainly(to, from string) error {
	cp, err := exec.LookPath("cp")
	if err != nil {
		return fmt.Errorf("this system has no cp: %w", err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(cp, from, to)
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, &stderr)
	}
	return nil
}

// copySlowly copies in small pieces, with time for commits in between. The copy
// ends somewhere between where the file ended at first and where it ends at
// last, as if its last piece had been read at another moment.
func copySlowly(to, from string, rnd *rand.Rand) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	copied := int64(0)
	for {
		n, err := io.CopyN(out, in, 64<<10)
		copied += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		time.Sleep(200 * time.Microsecond)
	}
	if grown := copied - info.Size(); grown > 0 {
		copied -= rnd.Int64N(grown + 1)
	}
	return out.Truncate(copied)
}
