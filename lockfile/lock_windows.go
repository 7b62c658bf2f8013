package lockfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/windows"
)

// Locks are mandatory on Windows: a locked byte can be neither read nor
// written by others. So each has a byte where nothing else lies: gofrs/flock
// locks byte 0 of the lock file, the latch the byte behind the mark, and the
// lock on the data file one where no data ever comes.
const (
	markOffset  = 64
	latchOffset = 128
	dataOffset  = 1 << 62
)

// openFlags: Windows has no flags to add.
const openFlags = 0

// lockIsLatch: the mark has a latch of its own here.
const lockIsLatch = false

const (
	pollFirst = time.Millisecond
	pollLast  = 16 * time.Millisecond
)

// tryByte locks one byte for this handle, if nobody has it.
func tryByte(h windows.Handle, off uint64) (bool, error) {
	ov := windows.Overlapped{Offset: uint32(off), OffsetHigh: uint32(off >> 32)}
	err := windows.LockFileEx(h, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &ov)
	if err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING {
		return false, nil
	}
	return err == nil, err
}

func unlockByte(h windows.Handle, off uint64) error {
	ov := windows.Overlapped{Offset: uint32(off), OffsetHigh: uint32(off >> 32)}
	return windows.UnlockFileEx(h, 0, 1, 0, &ov)
}

// tryLockFile is gofrs/flock alone.
func tryLockFile(_ *os.File, path string) (*grant, bool, error) {
	f := gofrs(path)
	ok, err := f.TryLock()
	if !ok || err != nil {
		return nil, false, err
	}
	got, err := grantOf(f)
	return got, err == nil, err
}

// unlockFile has nothing to do: each lock has a grant.
func unlockFile(*os.File) error { return nil }

// dataFile is the handle of the data file.
type dataFile struct{ conn syscall.RawConn }

func newDataFile(c syscall.RawConn) *dataFile { return &dataFile{c} }

// tryLock takes the lock if it is free.
func (d *dataFile) tryLock() (ok bool, err error) {
	cerr := d.conn.Control(func(fd uintptr) { ok, err = tryByte(windows.Handle(fd), dataOffset) })
	return ok, errors.Join(cerr, err)
}

func (d *dataFile) unlock() (err error) {
	cerr := d.conn.Control(func(fd uintptr) { err = unlockByte(windows.Handle(fd), dataOffset) })
	return errors.Join(cerr, err)
}

// block waits for the lock, in a helper. It polls: a blocking LockFileEx would
// keep the handle from being closed.
func (d *dataFile) block() (*grant, error) {
	for wait := pollFirst; ; wait = min(2*wait, pollLast) {
		ok, err := d.tryLock()
		if err != nil {
			return nil, err
		}
		if ok {
			return &grant{release: d.unlock}, nil
		}
		time.Sleep(wait)
	}
}

func lockMark(ctx context.Context, done <-chan struct{}, f *os.File) error {
	for wait := pollFirst; ; wait = min(2*wait, pollLast) {
		ok, err := tryByte(windows.Handle(f.Fd()), latchOffset)
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			return vfs.ErrClosed
		case <-time.After(wait):
		}
	}
}

// unlockMark cannot fail on a byte that is locked.
func unlockMark(f *os.File) { _ = unlockByte(windows.Handle(f.Fd()), latchOffset) }

// openFile opens the lock file, or creates it unless create is false or the
// Locker may only read; the file returned is then nil.
func (l *Locker) openFile(create bool) (*os.File, vfs.FileID, error) {
	if info, err := os.Lstat(l.path); err == nil && !info.Mode().IsRegular() {
		return nil, vfs.FileID{}, vfs.ErrNotRegular
	}
	flags, perm := os.O_RDWR, fs.FileMode(0o600)
	if l.mode == vfs.ReadOnly {
		flags = os.O_RDONLY
	}
	if create {
		flags |= os.O_CREATE
	}
	if l.perm != 0 {
		perm = l.perm
	}
	f, err := os.OpenFile(l.path, flags, perm)
	if err != nil {
		if !create && errors.Is(err, fs.ErrNotExist) || l.mode == vfs.ReadOnly && errors.Is(err, fs.ErrPermission) {
			err = nil
		}
		return nil, vfs.FileID{}, err
	}
	id, _, err := describeHandle(windows.Handle(f.Fd()))
	if err != nil {
		_ = f.Close() // the error that counts is the one before
		return nil, vfs.FileID{}, err
	}
	return f, id, nil
}

func describeHandle(h windows.Handle) (id vfs.FileID, links uint64, err error) {
	var info windows.ByHandleFileInformation
	err = windows.GetFileInformationByHandle(h, &info)
	id = vfs.FileID{
		Dev: uint64(info.VolumeSerialNumber),
		Ino: uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
	}
	return id, uint64(info.NumberOfLinks), err
}

// statName tells what the path leads to, without following a link.
func statName(path string) (id vfs.FileID, links uint64, err error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return id, 0, err
	}
	h, err := windows.CreateFile(name, 0,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return id, 0, err
	}
	id, links, err = describeHandle(h)
	return id, links, errors.Join(err, windows.CloseHandle(h))
}

func linksOf(f *os.File) (links uint64, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := c.Control(func(fd uintptr) { _, links, err = describeHandle(windows.Handle(fd)) })
	return links, errors.Join(cerr, err)
}

// idOfInfo: an fs.FileInfo does not tell the number. The lock file cannot be
// replaced while we have it open, so the grant needs none either.
func idOfInfo(fs.FileInfo) vfs.FileID { return vfs.FileID{} }

func idOfConn(c syscall.RawConn) (id vfs.FileID, err error) {
	cerr := c.Control(func(fd uintptr) { id, _, err = describeHandle(windows.Handle(fd)) })
	return id, errors.Join(cerr, err)
}

// permOfConn: Windows has access lists, which new files inherit.
func permOfConn(syscall.RawConn) (fs.FileMode, error) { return 0o600, nil }

func interrupted(error) bool { return false }

func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
