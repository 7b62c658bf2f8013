package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

// jobEnv holds the job of a process that this program started.
const jobEnv = "DURUS_EXAMPLE_BANK_JOB"

// job is what a process is to do until its standard input ends.
type job struct {
	File   string
	Sync   durus.SyncPolicy
	Teller durus.OID // of a worker; a reader has none
	Pack   bool      // neither: it packs
}

// report is a line of JSON on a job's standard output.
type report struct {
	Transfer  uint64        `json:",omitzero"` // this one is committed: the acknowledgement
	Took      time.Duration `json:",omitzero"` // from the call of Update to its return
	Conflicts uint64        `json:",omitzero"` // since the last report
	Retries   uint64        `json:",omitzero"` // since the last report
	Audits    int           `json:",omitzero"` // since the last report
	Packs     int           `json:",omitzero"` // since the last report
	Removed   int64         `json:",omitzero"` // bytes, by those
	Failed    string        `json:",omitzero"` // why the process ends early
}

// work does the job that text describes and returns the exit code.
func work(text string, in io.Reader, out io.Writer) int {
	signal.Ignore(os.Interrupt) // Ctrl-C reaches all; the parent ends, and with it the input
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // however it ends, there is no parent to work for
		cancel()
	}()

	lines := json.NewEncoder(out)
	if err := perform(ctx, text, lines); err != nil {
		_ = lines.Encode(report{Failed: err.Error()}) // the exit code says it, too
		return 1
	}
	return 0
}

func perform(ctx context.Context, text string, lines *json.Encoder) (err error) {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	teller := durus.RefTo[Teller](j.Teller)
	db, err := durus.Open(j.File, &durus.Options{MustExist: true, ReadOnly: teller.IsNil() && !j.Pack, Sync: j.Sync})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	switch {
	case j.Pack:
		err = packAll(ctx, db, lines)
	case teller.IsNil():
		err = readAll(ctx, db, lines)
	default:
		err = transferAll(ctx, db, teller, lines)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // it was told to stop
	}
	return err
}

// transferAll moves money, and acknowledges each transfer once Update has
// returned.
func transferAll(ctx context.Context, db *durus.DB, teller durus.Ref[Teller], lines *json.Encoder) error {
	for last := db.Stats(); ; {
		begin := time.Now()
		n, err := transfer(ctx, db, teller)
		if err != nil {
			return err
		}
		r, stats := report{Transfer: n, Took: time.Since(begin)}, db.Stats()
		r.Conflicts, r.Retries = stats.Conflicts-last.Conflicts, stats.Retries-last.Retries
		if err := lines.Encode(r); err != nil {
			return err
		}
		last = stats
	}
}

// packAll packs the file again and again, and rests for a moment in between.
func packAll(ctx context.Context, db *durus.DB, lines *json.Encoder) error {
	for {
		r, err := db.Pack(ctx, pack.Options{})
		if err != nil {
			return err
		}
		if err := lines.Encode(report{Packs: 1, Removed: r.Before - r.After, Took: r.Lock}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// readAll audits one state after the other. Between two of them it rests for a
// moment: it is here to look, not to take the processor from the workers.
func readAll(ctx context.Context, db *durus.DB, lines *json.Encoder) error {
	rest := time.NewTicker(time.Millisecond)
	defer rest.Stop()
	for told, audits := time.Now(), 0; ; {
		if err := db.View(ctx, func(tx *durus.Tx) error { return audit(tx) }); err != nil {
			return err
		}
		if audits++; time.Since(told) > 100*time.Millisecond {
			if err := lines.Encode(report{Audits: audits}); err != nil {
				return err
			}
			told, audits = time.Now(), 0
		}
		<-rest.C
	}
}
