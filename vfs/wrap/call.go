package wrap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/durusdb/durus/vfs"
)

// Call is one operation on its way to the storage below. It may be used until
// the function that it was given to returns, by one goroutine.
type Call struct {
	Op   Op     // one operation, no set
	Name string // of the file or the lock file, as the caller gave it; the prefix of List

	// What is asked for. It may be changed before Next.
	// The bytes that Read and ReadMark deliver must be in Data as it came.
	Off    int64                                     // where Read, Append, Rewrite, Write and Map begin; the new size of Truncate
	Data   []byte                                    // what is to be written, or the room for what is read
	Ctx    context.Context                           // of Lock and UpdateMark, nil otherwise
	Update func(p *[vfs.MarkSize]byte, ok bool) bool // of UpdateMark

	// What is answered: by Next, and then by whoever changes it. Next
	// overwrites what belongs to the operation.
	N     int       // bytes read or written; of Map what is asked for; the pid of Holder
	OK    bool      // TryLock: it is locked; Deleted: it is
	Info  vfs.Info  // of Stat and FileStat; Size is Info.Size
	Props vfs.Props // of Props
	Names []string  // of List; those before an error too
	Path  string    // of Resolve; of Rename the new name, which is asked for
	Err   error

	// The handle below that the operation is called on, for functions that do
	// other things with it. nil where there is none.
	File   vfs.File
	Writer vfs.Writer
	Locker vfs.Locker

	fs        vfs.FS
	unmap     func() error    // of Map
	closed    <-chan struct{} // closed with the handle
	ran       bool            // Next was called
	succeeded bool            // and answered without an error, once at least
}

var pool = sync.Pool{New: func() any { return new(Call) }}

func newCall(op Op, name string) *Call {
	c, _ := pool.Get().(*Call)
	c.Op, c.Name = op, name
	return c
}

// free ends the use of a call. One whose function panicked or ended the
// goroutine is left to the collector.
func (c *Call) free() {
	*c = Call{}
	pool.Put(c)
}

// Next carries the operation out on the storage below and sets the results.
func (c *Call) Next() {
	c.ran = true
	switch c.Op {
	case Open, Create: // the storage below does it in the operation that follows
		c.Err = nil
	case Read:
		c.N, c.Err = c.File.ReadAt(c.Data, c.Off)
	case Size:
		c.Info.Size, c.Err = c.File.Size()
	case FileStat:
		c.Info, c.Err = c.File.Stat()
	case Append:
		c.N, c.Err = c.File.Append(c.Data, c.Off)
	case Rewrite:
		c.N, c.Err = c.File.Rewrite(c.Data, c.Off)
	case Truncate:
		c.Err = c.File.Truncate(c.Off)
	case Sync:
		c.Err = c.File.Sync()
	case Close:
		c.Err = c.File.Close()
	case Map:
		c.mapFile()
	case Write:
		c.N, c.Err = c.Writer.Write(c.Data)
	case Commit:
		c.Err = c.Writer.Commit()
	case Abort:
		c.Err = c.Writer.Abort()
	default:
		c.nextOfLocker()
	}
	c.succeeded = c.succeeded || c.Err == nil
}

func (c *Call) nextOfLocker() {
	switch c.Op {
	case TryLock:
		c.OK, c.Err = c.Locker.TryLock()
	case Lock:
		c.Err = c.Locker.Lock(c.Ctx)
	case Unlock:
		c.Err = c.Locker.Unlock()
	case Holder:
		c.N = c.Locker.Holder()
	case Reopen:
		c.Err = c.Locker.Reopen()
	case Deleted:
		c.OK, c.Err = c.Locker.Deleted()
	case ReadMark:
		c.N, c.Err = c.Locker.ReadMark((*[vfs.MarkSize]byte)(c.Data))
	case UpdateMark:
		c.Err = c.Locker.UpdateMark(c.Ctx, c.Update)
	case LockClose:
		c.Err = c.Locker.Close()
	default:
		c.nextOfFS()
	}
}

func (c *Call) nextOfFS() {
	switch c.Op {
	case Props:
		c.Props = c.fs.Props(c.Name)
	case Stat:
		c.Info, c.Err = c.fs.Stat(c.Name)
	case List:
		c.Names, c.Err = nil, nil
		for name, err := range c.fs.List(c.Name) {
			if err != nil {
				c.Err = err
				return
			}
			c.Names = append(c.Names, name)
		}
	case Remove:
		c.Err = c.fs.Remove(c.Name)
	case SyncDir:
		c.Err = c.fs.SyncDir(c.Name)
	case Rename:
		c.Err = c.fs.Rename(c.Name, c.Path)
	case Resolve:
		c.Path, c.Err = c.fs.Resolve(c.Name)
	}
}

// mapFile is Next of Map. Only files that can be mapped have the method that
// leads here.
func (c *Call) mapFile() {
	m, _ := c.File.(vfs.Mapper)
	c.Data, c.unmap, c.Err = m.Map(c.Off, c.N)
}

// Failure returns err with the names of the operation and the file, and of the
// package that says so. What callers compare with (io.EOF, the error of a
// context) belongs in Err as it is.
func (c *Call) Failure(pkg string, err error) error {
	return fmt.Errorf("%s: %s %s: %w", pkg, c.Op, c.Name, err)
}

// Again reports whether the answer is that the operation is under way: it is
// called again for its result.
func (c *Call) Again() bool { return errors.Is(c.Err, vfs.ErrAgain) }

// Sleep waits for a time, and less if that is useless: it returns the error of
// the call's context when that is done, and vfs.ErrClosed when the handle has
// been closed meanwhile.
func (c *Call) Sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	return wait(c, t.C)
}

// Wait is Sleep until a channel is closed.
func (c *Call) Wait(until <-chan struct{}) error { return wait(c, until) }

func wait[T any](c *Call, until <-chan T) error {
	var done <-chan struct{}
	if c.Ctx != nil {
		done = c.Ctx.Done()
	}
	select {
	case <-until:
		return nil
	case <-done:
		return c.Ctx.Err()
	case <-c.closed:
		return c.Failure("wrap", vfs.ErrClosed)
	}
}
