package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// RestoreOptions say what to restore. The zero value is the newest state, into
// a file that does not exist yet.
type RestoreOptions struct {
	// AtTID and AtTime ask for the state as of the newest transaction that is
	// not later. 0, the zero time: the newest.
	AtTID  storage.TID
	AtTime time.Time

	// Run is the number of a run, from 1 on: for a history that a later one
	// does not hold because the database was restored in between. 0: the newest
	// that holds what is asked for.
	Run int

	// Overwrite replaces the database at the target, in one step and under its
	// commit lock, also while programs have it open: their next transactions
	// are told (storage.ErrRewound), or begin on the restored file. Another
	// database is not replaced.
	Overwrite   bool
	LockTimeout time.Duration // longest wait for that lock; 0 = 10 s

	Progress func(done, total int64) // if not nil, called now and then with bytes done and in all
}

func (o *RestoreOptions) limit() filestorage.Limit {
	return filestorage.Limit{TID: o.AtTID, Time: o.AtTime}
}

// Restored says what was restored.
type Restored struct {
	Path  string
	Run   int         // that it came from; 0: from a file
	TID   storage.TID // newest transaction in it
	Time  time.Time   // of its commit, or of what was written after it
	Bytes int64
	Took  time.Duration
}

// Restore makes a database at the path to from a directory of backups, or from a
// copy of a database file, as it was at a transaction or a time. The file gets
// its name when all of it is on the disk, so an interrupted restore leaves
// nothing. Every checksum is looked at on the way.
//
// Errors: fs.ErrExist (something is at to, and Overwrite was not asked for),
// fs.ErrNotExist (no backups), *DamageError and storage.ErrCorrupt, which say up
// to which transaction a restore is possible, storage.ErrPacked and ErrNotFound
// (nothing is as old as that), ErrForeign (another database is at to), ErrLocked,
// the context's, those of the storage. After an error the target is what it was,
// unless it Is vfs.ErrUnknownOutcome.
func Restore(ctx context.Context, fsys vfs.FS, from, to string, o RestoreOptions) (r Restored, err error) {
	begun := time.Now()
	fsys = vfs.Blocking(fsys)
	to, err = fsys.Resolve(to)
	if err != nil {
		return r, fmt.Errorf("durus: restore: %w", err)
	}
	exists, err := present(fsys, to)
	if err != nil {
		return r, err
	}
	if exists && !o.Overwrite {
		return r, fmt.Errorf("durus: restore: %s is there already, and nothing was changed: give another name, or ask for it to be overwritten: %w", to, fs.ErrExist)
	}
	src, err := openSource(ctx, fsys, from, o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	t := target{fs: fsys, path: to, exists: exists, timeout: o.LockTimeout}
	size, err := t.write(ctx, func(w io.Writer) error {
		if err := src.copy(ctx, w, o); err != nil {
			return err
		}
		return src.c.Seal(w)
	}, src.c)
	if err != nil {
		return r, err
	}
	p := src.c.Point()
	return Restored{Path: to, Run: src.number, TID: p.TID, Time: time.UnixMicro(p.Time), Bytes: size, Took: time.Since(begun)}, nil
}

func present(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("durus: restore: %w", err)
	}
	return true, nil
}

// source is what is restored: a run, or a file.
type source struct {
	c      *filestorage.Copier
	run    *run // nil: a file
	number int
	chunks *chunks
	st     *filestorage.Storage
}

func openSource(ctx context.Context, fsys vfs.FS, from string, o RestoreOptions) (*source, error) {
	from, err := fsys.Resolve(from)
	if err != nil {
		return nil, fmt.Errorf("durus: restore: %w", err)
	}
	if info, err := fsys.Stat(from); err != nil || info.Type != 0 {
		m, err := load(fsys, from)
		if err != nil {
			return nil, missing(from, err)
		}
		return openRun(fsys, from, m, o)
	}
	st, err := filestorage.Open(from, filestorage.Options{FS: fsys, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	c, err := st.Copier(ctx, true)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &source{c: c, st: st}, nil
}

// openRun opens the newest complete run that holds what is asked for.
func openRun(fsys vfs.FS, dir string, m *manifest, o RestoreOptions) (*source, error) {
	i, err := m.choose(dir, o)
	if err != nil {
		return nil, err
	}
	r := m.Runs[i]
	files, err := openChunks(fsys, dir, r)
	if err != nil {
		return nil, err
	}
	c, err := filestorage.NewCopier(dir, files, files.size)
	if err != nil {
		var damage *storage.CorruptError
		switch {
		case files.gap != nil:
			err = files.gap
		case errors.As(err, &damage):
			err = files.damage(damage.Offset, damage.Reason)
		case errors.Is(err, storage.ErrNotDurus):
			err = files.damage(0, "it does not begin like a database")
		}
		return nil, errors.Join(err, files.Close())
	}
	return &source{c: c, run: r, number: i + 1, chunks: files}, nil
}

// choose returns the index of the run to restore from.
func (m *manifest) choose(dir string, o RestoreOptions) (int, error) {
	if o.Run < 0 || o.Run > len(m.Runs) {
		return 0, fmt.Errorf("%w: %s has runs 1 to %d, there is no run %d", storage.ErrNotFound, dir, len(m.Runs), o.Run)
	}
	var oldest *run
	for i := len(m.Runs) - 1; i >= 0; i-- {
		r := m.Runs[i]
		if !r.Complete || o.Run > 0 && i+1 != o.Run {
			continue
		}
		if oldest = r; (o.AtTID == 0 || o.AtTID >= r.Horizon) && (o.AtTime.IsZero() || o.AtTime.UnixMicro() >= r.BaseTime) {
			return i, nil
		}
	}
	if oldest == nil {
		return 0, fmt.Errorf("%w: %s holds no complete backup to restore from", storage.ErrNotFound, dir)
	}
	return 0, fmt.Errorf("%w: the oldest backup in %s begins with the state at transaction %s of %s: choose a later one", storage.ErrPacked, dir, oldest.Horizon, time.UnixMicro(oldest.BaseTime).UTC().Format(time.RFC3339Nano))
}

// copy copies, and says of damage what can still be restored.
func (s *source) copy(ctx context.Context, w io.Writer, o RestoreOptions) error {
	_, err := s.c.Copy(ctx, w, o.limit(), o.Progress)
	if s.run == nil {
		return s.hint(err)
	}
	return s.verdict(err, o)
}

// hint says of a damaged file what can still be restored.
func (s *source) hint(err error) error {
	p := s.c.Point()
	if errors.Is(err, storage.ErrCorrupt) && p.TID > s.c.Header().Horizon {
		return fmt.Errorf("%w; up to transaction %s it can be restored: ask for that", err, p.TID)
	}
	return err
}

// verdict is what a copy of a run that has ended with err says of its chunks.
func (s *source) verdict(err error, o RestoreOptions) error {
	var damage *storage.CorruptError
	var found *DamageError
	p := s.c.Point()
	held := p.TID > s.c.Header().Horizon // else it may be a part of the state there
	short := s.chunks.gap != nil && p.End >= s.chunks.size && !(held && p.TID == o.AtTID)
	all := o.limit() == filestorage.Limit{}
	switch {
	case errors.As(err, &damage) && s.chunks.gap != nil && s.chunks.at(damage.Offset) == s.chunks.last(): // the frame that was cut
		found = s.chunks.gap
	case errors.As(err, &damage):
		found = s.chunks.damage(damage.Offset, damage.Reason)
	case err != nil:
		return err
	case short:
		found = s.chunks.gap
	case all && p != s.run.end():
		found = s.chunks.damage(p.End, "it does not end where the manifest says")
	default:
		return nil
	}
	if held {
		found.Usable, found.UsableTime = p.TID, time.UnixMicro(p.Time)
	}
	return found
}

func (s *source) close() error {
	s.c.Close()
	if s.st != nil {
		return s.st.Close()
	}
	return s.chunks.Close()
}
