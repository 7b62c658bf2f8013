package posix

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/windows"
)

// openRegular opens an existing regular file.
func openRegular(name string, write bool) (*os.File, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, vfs.ErrNotRegular
	}
	if write {
		return os.OpenFile(name, os.O_RDWR, 0)
	}
	return os.Open(name)
}

// writeAt writes p at off and tells how far it came.
func writeAt(c syscall.RawConn, p []byte, off int64) (n int, err error) {
	cerr := c.Control(func(fd uintptr) {
		for n < len(p) && err == nil {
			at := uint64(off) + uint64(n)
			ov := windows.Overlapped{Offset: uint32(at), OffsetHigh: uint32(at >> 32)}
			var done uint32
			err = windows.WriteFile(windows.Handle(fd), p[n:min(len(p), n+1<<30)], &done, &ov)
			n += int(done)
		}
	})
	return n, errors.Join(cerr, err)
}

func statName(name string) (vfs.Info, error) {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return vfs.Info{}, err
	}
	h, err := windows.CreateFile(path, 0,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return vfs.Info{}, err
	}
	info, err := infoOf(h)
	return info, errors.Join(err, windows.CloseHandle(h))
}

func statFile(f *os.File) (info vfs.Info, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return info, err
	}
	cerr := c.Control(func(fd uintptr) { info, err = infoOf(windows.Handle(fd)) })
	return info, errors.Join(cerr, err)
}

func infoOf(h windows.Handle) (vfs.Info, error) {
	var st windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &st); err != nil {
		return vfs.Info{}, err
	}
	info := vfs.Info{
		ID: vfs.FileID{
			Dev: uint64(st.VolumeSerialNumber),
			Ino: uint64(st.FileIndexHigh)<<32 | uint64(st.FileIndexLow),
		},
		Size:  int64(st.FileSizeHigh)<<32 | int64(st.FileSizeLow),
		Links: uint64(st.NumberOfLinks),
		Perm:  0o666,
	}
	if st.FileAttributes&windows.FILE_ATTRIBUTE_READONLY != 0 {
		info.Perm = 0o444
	}
	switch {
	case st.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0:
		info.Type = fs.ModeSymlink
	case st.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0:
		info.Type = fs.ModeDir
	}
	return info, nil
}

func removeName(name string) error {
	path, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	return windows.DeleteFile(path)
}

// syncData is FlushFileBuffers.
func syncData(f *os.File) error { return f.Sync() }

// syncDir: NTFS journals its directories, and no call asks it to hurry.
func syncDir(string) error { return nil }

func createTemp(name string, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

// sweepTemp: a file that a living writer has open cannot be removed.
func sweepTemp(name string) { _ = removeName(name) }

func dropTemp(f *os.File, name string) error {
	return errors.Join(f.Close(), removeName(name))
}

// inherit: access lists come from the directory.
func inherit(*os.File, string, fs.FileMode) error { return nil }

// publishNew gives the file its name if that is free. An open file cannot be
// renamed, so it is closed first.
func publishNew(f *os.File, temp, name string) error { return publish(f, temp, name, 0) }

// publishOver gives the file its name, which nobody may have open.
func publishOver(f *os.File, temp, name string) error {
	return publish(f, temp, name, windows.MOVEFILE_REPLACE_EXISTING)
}

func publish(f *os.File, temp, name string, flags uint32) error {
	from, err := windows.UTF16PtrFromString(temp)
	if err != nil {
		return err
	}
	to, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return windows.MoveFileEx(from, to, flags|windows.MOVEFILE_WRITE_THROUGH)
}

// outcome: a renaming that failed has not happened.
func outcome(_ *os.File, _ string, err error) error { return err }

// mapping: a mapped file could not be replaced.
const mapping, liveMapping = false, false

func remoteAt(name string) (remote bool, kind string, err error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return false, "", err
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(abs) + `\`)
	if err != nil {
		return false, "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return true, "network drive", nil
	}
	return false, "", nil
}

func noSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}
