package posix

import (
	"errors"
	"io/fs"
	"os"

	"github.com/durusdb/durus/vfs"
)

// Rename implements vfs.FS. What the file takes over from the one that it
// replaces is on the disk before it has the name: a power cut must not leave a
// database that its users may not open.
func (FS) Rename(old, name string) error {
	f, err := openRegular(old, false)
	if err != nil {
		return fail("rename", old, err)
	}
	err = rename(f, old, name)
	_ = f.Close() // nothing was written to it
	return fail("rename "+old+" to", name, err)
}

func rename(f *os.File, old, name string) error {
	there, err := os.Lstat(name)
	switch {
	case err == nil && !there.Mode().IsRegular():
		return vfs.ErrNotRegular
	case err == nil:
		own, err := f.Stat()
		if err != nil {
			return err
		}
		if err := inherit(f, name, own.Mode().Perm()|there.Mode().Perm()); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return outcome(f, name, publishOver(f, old, name))
}
