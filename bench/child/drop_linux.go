package child

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// dropPageCache writes the files of a database to the disk and forgets them.
func dropPageCache(path string) error {
	return Files(path, func(name string, _ int64) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = unix.Fdatasync(int(f.Fd()))
		if err == nil {
			err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		}
		return errors.Join(err, f.Close())
	})
}
