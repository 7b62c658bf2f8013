package filestorage

import (
	"errors"
	"fmt"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/exclusive"
)

// suit decides by what the storage can do how the file is used, and refuses
// what cannot be made safe (A11, A13):
//
//   - Reading needs nothing. Where sizes may be stale, readers may lag.
//   - Writing needs files that grow, and sizes that are true: a commit behind an
//     end that is not the end would overwrite another one.
//   - Several processes may write where there are locks. Elsewhere the first one
//     may, until it closes the database, and the others are refused.
//
// A network file system is refused for writing unless the caller allows it, who
// then answers for its locks and sizes.
func (s *Storage) suit() error {
	p := s.opts.FS.Props(s.path)
	s.fs = vfs.Blocking(s.opts.FS)
	s.stable = p.StableSize
	s.live = p.Mapping && p.LiveMapping
	if s.opts.ReadOnly {
		if !p.Locks {
			s.fs = exclusive.Reader(s.fs)
		}
		return nil
	}
	switch {
	case !p.Append:
		return fmt.Errorf("durus: %s: the files of this storage cannot grow: open it read-only, or keep the database elsewhere: %w", s.path, vfs.ErrNotSupported)
	case s.opts.AllowRemote:
	case p.Remote:
		return fmt.Errorf("durus: %s is on a network file system (%s), where another machine's writes may be seen late and locks may not hold: keep the database on a local disk, or open it read-only: %w", s.path, p.Kind, vfs.ErrNotSupported)
	case !p.StableSize:
		return fmt.Errorf("durus: %s: this storage may tell an old size of a file: open it read-only, or keep the database elsewhere: %w", s.path, vfs.ErrNotSupported)
	}
	if p.Locks {
		return nil
	}
	if !p.ConditionalPut {
		return fmt.Errorf("durus: %s: this storage has neither locks nor a way to be the only one who creates a file: open it read-only, or keep the database elsewhere: %w", s.path, vfs.ErrNotSupported)
	}
	sole, err := exclusive.Writer(s.fs, lockName(s.path), s.opts.Perm)
	if errors.Is(err, exclusive.ErrTaken) {
		return fmt.Errorf("durus: open %s: %w: %w; it can be opened read-only", s.path, storage.ErrLocked, err)
	}
	if err != nil {
		return fmt.Errorf("durus: open %s: %w", s.path, err)
	}
	s.fs, s.sole = sole, sole
	return nil
}

// giveUp gives back what suit took.
func (s *Storage) giveUp() error {
	if s.sole == nil {
		return nil
	}
	return s.sole.Release()
}
