package async

import (
	"context"
	"errors"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// locker is the Locker of the storage below, but that no lock is taken before
// the file that it guards is open.
type locker struct {
	vfs.Locker
	f      *file
	once   sync.Once
	closed chan struct{} // closed by Close: the storage below says the rest
}

// TryLock implements vfs.Locker.
func (l *locker) TryLock() (bool, error) {
	select {
	case <-l.closed:
	default:
		if err := l.f.tryOpened(true); err != nil {
			return false, err
		}
	}
	return l.Locker.TryLock()
}

// Lock implements vfs.Locker.
func (l *locker) Lock(ctx context.Context) error {
	err := l.f.tryOpened(false)
	if errors.Is(err, vfs.ErrAgain) {
		select {
		case <-l.f.opened:
			err = l.f.tryOpened(false)
		case <-l.closed:
			err = nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	return l.Locker.Lock(ctx)
}

// Close implements vfs.Locker.
func (l *locker) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Locker.Close()
}
