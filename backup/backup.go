package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// chunkBytes is where a chunk ends and the next one begins: as much as an
// interrupted backup has to do again.
const chunkBytes = 256 << 20

// Options of a backup.
type Options struct {
	// Progress, if not nil, is called now and then with the bytes of the
	// database that are backed up and those that it has.
	Progress func(done, total int64)

	chunk int64            // 0: chunkBytes; tests have smaller ones
	now   func() time.Time // nil: time.Now
}

// Reason says why a backup is a full one.
type Reason string

// The reasons. An increment has none.
const (
	First    Reason = "first"    // the directory was empty
	Asked    Reason = "asked"    // by Full
	Packed   Reason = "packed"   // the database was packed since
	Replaced Reason = "replaced" // another file of the same database has its name
	Rewound  Reason = "rewound"  // the database was restored, or lost what it had not synced
)

// Report says what a backup has done.
type Report struct {
	Full    bool   // the whole database, not only what was committed since
	Reason  Reason // why, if Full
	Resumed bool   // it went on with a full backup that had been interrupted
	Nothing bool   // nothing was committed since the last one, and nothing was written

	Run    int         // number of the run in the directory, from 1 on
	TID    storage.TID // newest transaction that the backup holds
	Time   time.Time   // of its commit, or of what was written after it
	Bytes  int64       // that were written
	Chunks []string    // names of the files that were written
	Took   time.Duration
}

// Full copies the whole database into dir, whatever is there, as the begin of a
// new run. A full backup that was interrupted goes on where it stopped, if the
// database still holds what was copied.
//
// dir is an existing directory of fsys that is used for backups of this database
// only. Others read, write and pack the database meanwhile. Errors:
// storage.ErrCorrupt (the database is damaged, or the directory: *DamageError),
// ErrForeign (it holds backups of another database), ErrLocked (another backup
// writes to it), ErrRewound, ErrClosed, the context's, those of both storages.
// After an error the directory holds what it held, and perhaps chunks of an
// unfinished run.
func Full(ctx context.Context, s *filestorage.Storage, fsys vfs.FS, dir string, o Options) (Report, error) {
	return write(ctx, s, fsys, dir, o, true)
}

// Incremental copies what was committed since the last backup in dir. Where
// that is not possible it makes a full one and says why (Report.Reason): the
// directory is empty, the database was packed, or it was restored. Everything
// else is as with Full.
func Incremental(ctx context.Context, s *filestorage.Storage, fsys vfs.FS, dir string, o Options) (Report, error) {
	return write(ctx, s, fsys, dir, o, false)
}

func write(ctx context.Context, s *filestorage.Storage, fsys vfs.FS, dir string, o Options, full bool) (r Report, err error) {
	begun := time.Now()
	if o.chunk == 0 {
		o.chunk = chunkBytes
	}
	if o.now == nil {
		o.now = time.Now
	}
	c, err := s.Copier(ctx, false) // first: what cannot be copied leaves nothing behind
	if err != nil {
		return r, err
	}
	defer c.Close()
	d, err := openDirectory(fsys, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	t := &task{d: d, c: c, o: o, report: &r}
	if err := t.choose(full); err != nil {
		return r, err
	}
	if err := t.copy(ctx); err != nil {
		return r, err
	}
	end := t.run.end()
	r.Run, r.TID, r.Time, r.Took = len(d.m.Runs), end.TID, time.UnixMicro(end.Time), time.Since(begun)
	return r, nil
}

// task is one backup.
type task struct {
	d      *directory
	c      *filestorage.Copier
	o      Options
	run    *run // that is written to; in the manifest from its first chunk on
	report *Report
}

// choose decides whether the last run goes on or a new one begins.
func (t *task) choose(full bool) error {
	h, m := t.c.Header(), t.d.m
	id := hex.EncodeToString(h.ID[:])
	if m.Database != "" && m.Database != id {
		return fmt.Errorf("%w: %s holds backups of database %s, this one is %s: use another directory", storage.ErrForeign, t.d.path, m.Database, id)
	}
	m.Database = id
	fresh := &run{Generation: h.Generation, Salt: fmt.Sprintf("%016x", h.Salt), Horizon: h.Horizon}
	if len(m.Runs) == 0 {
		fresh.Reason = First
		t.begin(fresh)
		return nil
	}
	last := m.Runs[len(m.Runs)-1]
	if full && last.Complete {
		fresh.Reason = Asked
		t.begin(fresh)
		return nil
	}
	if last.Salt == fresh.Salt {
		ok, err := t.c.Continue(last.end())
		if err != nil {
			return err
		}
		if ok {
			t.run = last
			t.report.Full, t.report.Resumed = !last.Complete, !last.Complete
			if !last.Complete {
				t.report.Reason = last.Reason
			}
			return nil
		}
		fresh.Reason = Rewound
	} else if fresh.Reason = Replaced; h.Generation > last.Generation {
		fresh.Reason = Packed
	}
	if !last.Complete { // it will never be: its chunks go with the next sweep
		m.Runs = m.Runs[:len(m.Runs)-1]
	}
	t.begin(fresh)
	return nil
}

func (t *task) begin(r *run) {
	t.run = r
	t.report.Full, t.report.Reason = true, r.Reason
}

// copy writes chunks until there is nothing more.
func (t *task) copy(ctx context.Context) error {
	if len(t.run.Chunks) > 0 && t.c.Point().End >= t.c.End() {
		if !t.run.Complete {
			t.run.Complete = true
			return t.d.save()
		}
		t.report.Nothing = true
		return nil
	}
	for done := false; !done; {
		var err error
		if done, err = t.chunk(ctx); err != nil {
			return err
		}
	}
	return t.d.sweep()
}

// chunk writes one chunk: first its file, and once that is on the disk, the
// manifest that names it.
func (t *task) chunk(ctx context.Context) (done bool, err error) {
	d, r := t.d, t.run
	k := chunk{Name: fmt.Sprintf("%06d.chunk", d.m.Next), Begin: r.end().End}
	w := d.fs.Create(within(d.path, k.Name), vfs.FailIfExists, perm)
	sum := sha256.New()
	done, err = t.c.Copy(ctx, io.MultiWriter(w, sum), filestorage.Limit{Bytes: t.o.chunk}, t.o.Progress)
	if err != nil {
		return false, errors.Join(err, w.Abort())
	}
	if err := d.commit(k.Name, w); err != nil {
		return false, err
	}
	k.SHA256, k.Written, k.End = hex.EncodeToString(sum.Sum(nil)), t.o.now().UTC(), point(t.c.Point())
	if len(r.Chunks) == 0 {
		d.m.Runs = append(d.m.Runs, r)
	}
	r.Chunks = append(r.Chunks, k)
	r.BaseTime = max(r.BaseTime, t.c.BaseTime())
	r.Complete = r.Complete || done
	d.m.Next++
	if err := d.save(); err != nil {
		return false, err
	}
	t.report.Bytes += k.size()
	t.report.Chunks = append(t.report.Chunks, k.Name)
	return done, nil
}
