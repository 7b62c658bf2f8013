package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/durusdb/durus/vfs"
)

// chunks are those of a run, open, as one file of bytes. One goroutine uses
// it, which reads mostly forwards.
type chunks struct {
	dir   string
	list  []chunk
	files []vfs.File
	size  int64 // of what is there without a gap

	// gap is what is wrong with the first chunk that is not as long as it
	// should be; nil: all are.
	gap *DamageError
}

// openChunks opens the chunks of a run, up to the first that is missing or has
// another length.
func openChunks(fsys vfs.FS, dir string, r *run) (*chunks, error) {
	c := &chunks{dir: dir}
	for _, k := range r.Chunks {
		f := fsys.Open(within(dir, k.Name), vfs.ReadOnly)
		c.files, c.list = append(c.files, f), append(c.list, k)
		size, err := f.Size()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.gap = &DamageError{Dir: dir, Name: k.Name, Reason: "it is missing"}
			return c, nil
		case err != nil:
			return c, errors.Join(fmt.Errorf("durus: backup %s: %w", dir, err), c.Close())
		}
		c.size += min(size, k.size())
		if size != k.size() {
			c.gap = &DamageError{Dir: dir, Name: k.Name, Offset: min(size, k.size()), Reason: fmt.Sprintf("it has %d bytes and should have %d", size, k.size())}
			return c, nil
		}
	}
	return c, nil
}

// ReadAt implements io.ReaderAt.
func (c *chunks) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		i := c.at(off + int64(n))
		if i < 0 {
			return n, io.EOF
		}
		k := &c.list[i]
		want := p[n:min(int64(len(p)), int64(n)+k.End.End-off-int64(n))]
		got, err := c.files[i].ReadAt(want, off+int64(n)-k.Begin)
		n += got
		if got < len(want) {
			if err == nil {
				err = io.EOF
			}
			return n, err
		}
	}
	return n, nil
}

// at is the chunk that holds a position of the database file, -1 if none does.
func (c *chunks) at(off int64) int {
	for i := range c.list {
		if off >= c.list[i].Begin && off < c.list[i].End.End {
			return i
		}
	}
	return -1
}

// last is the last chunk of which something is there, or the one with the gap.
func (c *chunks) last() int { return len(c.list) - 1 }

// damage is what is wrong at a position of the database file.
func (c *chunks) damage(off int64, reason string) *DamageError {
	if i := c.at(off); i >= 0 {
		return &DamageError{Dir: c.dir, Name: c.list[i].Name, Offset: off - c.list[i].Begin, Reason: reason}
	}
	k := c.list[len(c.list)-1]
	return &DamageError{Dir: c.dir, Name: k.Name, Offset: k.size(), Reason: reason}
}

// Close closes the files.
func (c *chunks) Close() error {
	var err error
	for _, f := range c.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
