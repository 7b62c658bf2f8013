package limit

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/durusdb/durus/bench/measure"
)

// NoTogether is why Together cannot run here; empty: it can.
func NoTogether() string {
	if !locks {
		return "processes without a database lock files on Linux only"
	}
	return ""
}

// Together is what processes that share a log cannot do without: each takes a lock,
// appends size bytes at the end of the file, gives the lock back, and syncs, if
// durable. Several processes run it on one file at the same time.
func Together(path string, size int, durable bool, d time.Duration) (count int, took time.Duration, h *measure.Histogram, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	record := bytes.Repeat([]byte{7}, size)
	return measure.Loop(d, func(int) error {
		if err := lock(f, true); err != nil {
			return err
		}
		end, err := f.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = f.WriteAt(record, end)
		}
		if err := errors.Join(err, lock(f, false)); err != nil || !durable {
			return err
		}
		return datasync(f)
	})
}
