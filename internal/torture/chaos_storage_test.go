//go:build linux

package torture

import (
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
	"github.com/durusdb/durus/vfs/wrap"
)

// weather is what happens to a process's calls of the storage: of so many calls,
// at random, one is late, one kills the process before or behind it, and one fails
// for want of room. 0 is never.
type weather struct{ Late, Deadly, Full int }

// storage is what the process keeps databases on. The weather is that of the files:
// over an asynchronous storage a call that fails may be carried out all the same.
func (p *chaosProcess) storage() vfs.FS {
	files := vfs.FS(posix.New())
	if w := p.task.Weather; w != (weather{}) {
		files = wrap.New(files, w.call)
	}
	return stacks[p.task.Stack](files)
}

func oneOf(n int) bool { return n > 0 && rand.IntN(n) == 0 }

func (w weather) call(c *wrap.Call) {
	if oneOf(w.Late) {
		time.Sleep(rand.N(2 * time.Millisecond))
	}
	deadly := oneOf(w.Deadly)
	if deadly && rand.IntN(2) == 0 {
		die()
	}
	const writes = wrap.Append | wrap.Rewrite | wrap.Sync | wrap.Create | wrap.Write | wrap.Commit | wrap.SyncDir | wrap.Rename | wrap.Truncate
	if writes.Has(c.Op) && oneOf(w.Full) {
		c.Err = &os.PathError{Op: c.Op.String(), Path: c.Name, Err: syscall.ENOSPC}
		return
	}
	c.Next()
	if deadly {
		die()
	}
	if oneOf(w.Late) {
		time.Sleep(rand.N(2 * time.Millisecond))
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
