package realdisk

import (
	"bufio"
	"cmp"
	"context"
	"encoding/gob"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// recorder is a vfs.FS that tells of every change of a file before it is made,
// and again when it is done. It says so outside of the file system under test
// and without a buffer: what was told is not lost with its process.
type recorder struct {
	vfs.FS
	mu   sync.Mutex // guards out and everything that is written to it
	out  *gob.Encoder
	last atomic.Uint64
}

// entry is the beginning of a change, or its end.
type entry struct {
	ID   uint64
	At   int64 // CLOCK_MONOTONIC, ns: one clock for all processes
	End  bool
	Err  bool   // of the end: it was not done, or in part
	Kind string // of the beginning, like all that follows
	Name string // of the file in its directory
	Off  int64
	Data []byte
}

// The kinds of changes.
const (
	kindWrite    = "write"
	kindTruncate = "truncate"
	kindSync     = "sync"
	kindTemp     = "temp"   // a temporary file is there until it is created, or given up
	kindCreate   = "create" // a whole file
	kindSyncDir  = "syncdir"
	kindLock     = "lock" // a lock file is opened, and created if need be
	kindMark     = "mark"
)

func newRecorder(lower vfs.FS, out *os.File) *recorder {
	return &recorder{FS: lower, out: gob.NewEncoder(out)}
}

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail
	return ts.Nano()
}

// begin tells what is going to be done; done is to be called with its result.
func (r *recorder) begin(e entry) (done func(error)) {
	e.ID, e.Name = r.last.Add(1), filepath.Base(e.Name)
	r.tell(&e)
	return func(err error) { r.tell(&entry{ID: e.ID, End: true, Err: err != nil}) }
}

func (r *recorder) tell(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = monotonic()
	_ = r.out.Encode(e) // nobody listens any more: the test is over
}

func (r *recorder) Open(name string, mode vfs.Mode) vfs.File {
	return &recordedFile{r.FS.Open(name, mode), r, name}
}

func (r *recorder) Create(name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
	return &recordedWriter{Writer: r.FS.Create(name, mode, perm), r: r, name: name}
}

func (r *recorder) SyncDir(name string) error {
	done := r.begin(entry{Kind: kindSyncDir, Name: name})
	err := r.FS.SyncDir(name)
	done(err)
	return err
}

func (r *recorder) Locker(name string, data vfs.File, mode vfs.Mode, perm fs.FileMode) vfs.Locker {
	return &recordedLocker{r.FS.Locker(name, data, mode, perm), r, name}
}

type recordedFile struct {
	vfs.File
	r    *recorder
	name string
}

// Unwrap leads to the file that can be locked.
func (f *recordedFile) Unwrap() vfs.File { return f.File }

func (f *recordedFile) Append(p []byte, end int64) (int, error) {
	done := f.r.begin(entry{Kind: kindWrite, Name: f.name, Off: end, Data: p})
	n, err := f.File.Append(p, end)
	done(err)
	return n, err
}

func (f *recordedFile) Rewrite(p []byte, off int64) (int, error) {
	done := f.r.begin(entry{Kind: kindWrite, Name: f.name, Off: off, Data: p})
	n, err := f.File.Rewrite(p, off)
	done(err)
	return n, err
}

func (f *recordedFile) Truncate(size int64) error {
	done := f.r.begin(entry{Kind: kindTruncate, Name: f.name, Off: size})
	err := f.File.Truncate(size)
	done(err)
	return err
}

func (f *recordedFile) Sync() error {
	done := f.r.begin(entry{Kind: kindSync, Name: f.name})
	err := f.File.Sync()
	done(err)
	return err
}

type recordedWriter struct {
	vfs.Writer
	r    *recorder
	name string
	data []byte
	temp func(error) // tells that the temporary file is gone; nil before there is one
}

func (w *recordedWriter) Write(p []byte) (int, error) {
	w.start()
	w.data = append(w.data, p...)
	return w.Writer.Write(p)
}

func (w *recordedWriter) start() {
	if w.temp == nil {
		w.temp = w.r.begin(entry{Kind: kindTemp, Name: w.name})
	}
}

func (w *recordedWriter) Commit() error {
	w.start()
	done := w.r.begin(entry{Kind: kindCreate, Name: w.name, Data: w.data})
	err := w.Writer.Commit()
	done(err)
	w.temp(err)
	return err
}

func (w *recordedWriter) Abort() error {
	w.start()
	err := w.Writer.Abort()
	w.temp(err)
	return err
}

type recordedLocker struct {
	vfs.Locker
	r    *recorder
	name string
}

func (l *recordedLocker) Reopen() error {
	done := l.r.begin(entry{Kind: kindLock, Name: l.name})
	err := l.Locker.Reopen()
	done(err)
	return err
}

func (l *recordedLocker) UpdateMark(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	done := func(error) {}
	err := l.Locker.UpdateMark(ctx, func(p *[vfs.MarkSize]byte, ok bool) bool {
		if !update(p, ok) {
			return false
		}
		done = l.r.begin(entry{Kind: kindMark, Name: l.name, Data: slices.Clone(p[:])})
		return true
	})
	done(err)
	return err
}

// recording collects what a recorder in a child tells.
type recording struct {
	entries []entry
	done    chan struct{} // closed when entries holds all of it
}

// record returns a recording and the end of its pipe that is for the child.
func record() (*recording, *os.File, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	rec := &recording{done: make(chan struct{})}
	go func() {
		defer close(rec.done)
		defer out.Close() // it was only read
		d := gob.NewDecoder(bufio.NewReaderSize(out, 1<<20))
		for {
			var e entry
			if d.Decode(&e) != nil { // its end, perhaps in the middle of an entry
				return
			}
			rec.entries = append(rec.entries, e)
		}
	}()
	return rec, in, nil
}

// change is one that was begun.
type change struct {
	entry
	over bool  // it has ended
	end  int64 // when
	good bool  // and has done all that it was to do
}

// history returns the changes of several processes that were begun until over,
// in an order in which a disk may have seen them: who writes, at the end; who
// syncs, at the beginning, because nothing that came later is safe by it. What
// ended later than until does not count as done.
func history(recs []*recording, until, over int64) (all []change) {
	for _, rec := range recs {
		<-rec.done
		at := make(map[uint64]int)
		for _, e := range rec.entries {
			switch i, ok := at[e.ID]; {
			case !e.End && e.At < over:
				at[e.ID] = len(all)
				all = append(all, change{entry: e})
			case e.End && ok:
				all[i].over, all[i].end, all[i].good = true, e.At, !e.Err && e.At < until
			}
		}
	}
	slices.SortStableFunc(all, func(a, b change) int { return cmp.Compare(a.when(), b.when()) })
	return all
}

func (c *change) when() int64 {
	switch {
	case c.Kind == kindSync || c.Kind == kindSyncDir:
		return c.At
	case !c.over:
		return 1<<63 - 1
	}
	return c.end
}
