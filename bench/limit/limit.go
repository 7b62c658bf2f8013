// Package limit measures what the machine can do at best, without any database:
// the loops that a database cannot be faster than.
package limit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/bench/contender"
	"github.com/durusdb/durus/bench/measure"
)

// Append appends size bytes to a file of dir, and syncs each time if durable.
// The figure is appends per second.
func Append(dir string, size int, durable bool, d time.Duration) (s measure.Sample, err error) {
	f, err := os.OpenFile(filepath.Join(dir, "limit.append"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	record := bytes.Repeat([]byte{7}, size)
	var n int64
	s, err = measure.Rate(d, 1, func(int) error {
		n++
		if _, err := f.Write(record); err != nil || !durable {
			return err
		}
		return datasync(f)
	})
	if err != nil {
		return s, err
	}
	if info, err := f.Stat(); err != nil || info.Size() != n*int64(size) {
		return s, fmt.Errorf("%d appends of %d bytes: %w", n, size, errors.Join(err, io.ErrShortWrite))
	}
	return s, nil
}

// Records is a file of encoded objects and where they lie: what a database with a
// perfect index would read.
type Records struct {
	f       *os.File
	offsets []int64 // one more than there are objects
}

// NewRecords writes n objects of about size bytes to a file of dir.
func NewRecords(dir string, n int64, size int) (*Records, error) {
	var buf bytes.Buffer
	r := &Records{}
	for id := range n {
		v := contender.NewItem(id, size)
		r.offsets = append(r.offsets, int64(buf.Len()))
		if err := v.Encode(&buf); err != nil {
			return nil, err
		}
	}
	r.offsets = append(r.offsets, int64(buf.Len()))
	path := filepath.Join(dir, "limit.records")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		return nil, err
	}
	var err error
	r.f, err = os.Open(path)
	return r, err
}

// Read reads random objects with pread and decodes them. The figure is nanoseconds
// each.
func (r *Records) Read(d time.Duration) (measure.Sample, error) {
	const each = 100
	n := int64(len(r.offsets) - 1)
	var buf []byte
	return measure.Cost(d, each, func(int) error {
		for range each {
			id := rand.N(n)
			from, to := r.offsets[id], r.offsets[id+1]
			if size := int(to - from); cap(buf) < size {
				buf = make([]byte, size)
			}
			buf = buf[:to-from]
			if _, err := r.f.ReadAt(buf, from); err != nil {
				return err
			}
			var v contender.Item
			if err := v.Decode(buf); err != nil {
				return err
			}
			if err := v.Check(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close removes the file.
func (r *Records) Close() error { return errors.Join(r.f.Close(), os.Remove(r.f.Name())) }

// Load loads a pointer that another goroutine may change and reads through it. The
// figure is nanoseconds each.
func Load(d time.Duration) (measure.Sample, error) {
	const each = 10_000
	var p [64]atomic.Pointer[contender.Item]
	want := int64(0)
	for i := range p {
		v := contender.NewItem(int64(i), 100)
		p[i].Store(&v)
	}
	for i := range each {
		want += int64(i & 63)
	}
	return measure.Cost(d, each, func(int) error {
		sum := int64(0)
		for i := range each {
			sum += p[i&63].Load().ID
		}
		if sum != want {
			return fmt.Errorf("sum of ids %d, want %d", sum, want)
		}
		return nil
	})
}

// Copy copies a file and syncs the copy. The figure is bytes per second.
func Copy(from, dir string) (s measure.Sample, err error) {
	began := time.Now()
	in, err := os.Open(from)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.Create(filepath.Join(dir, "limit.copy"))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, out.Close(), os.Remove(out.Name())) }()
	// Not io.Copy: a file system may then copy nothing at all.
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20))
	if err == nil {
		err = out.Sync()
	}
	return measure.Sample{Value: float64(n) / time.Since(began).Seconds()}, err
}
