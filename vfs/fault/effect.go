package fault

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/durusdb/durus/vfs/wrap"
)

// Effect is what befalls a call. The zero Effect is Fail(nil).
type Effect struct {
	kind    kind
	err     error         // nil is EIO
	n       int64         // bytes of a short write; the bit to be flipped
	d       time.Duration // of a delay; the age of a size
	sectors []int
}

type kind uint8

const (
	kindFail kind = iota
	kindShort
	kindTorn
	kindDelay
	kindHang
	kindPretend
	kindFlip
	kindStale
	kindLose
	kinds
)

// writes are the operations that carry bytes to a file; the mark is apart.
const writes = wrap.Append | wrap.Rewrite | wrap.Write

// effects says for each kind which operations it is for, and whether it can
// come after them.
var effects = [kinds]struct {
	ops   wrap.Op
	after bool
}{
	kindFail:    {wrap.All &^ (wrap.Props | wrap.Holder), true},
	kindShort:   {writes | wrap.UpdateMark, false},
	kindTorn:    {writes, false},
	kindDelay:   {wrap.All, true},
	kindHang:    {wrap.All, true},
	kindPretend: {writes | wrap.Truncate | wrap.Sync | wrap.SyncDir | wrap.Remove | wrap.Rename | wrap.UpdateMark | wrap.TryLock | wrap.Lock, false},
	kindFlip:    {writes | wrap.UpdateMark | wrap.Read | wrap.ReadMark, false},
	kindStale:   {wrap.Size | wrap.FileStat | wrap.Stat | wrap.Read, false},
	kindLose:    {wrap.All, true},
}

// Fail lets an operation fail with err, which callers find with errors.Is; nil
// is EIO. A file is closed all the same.
func Fail(err error) Effect { return Effect{err: err} }

// Short lets the first n bytes of a write be written, and the operation fail
// with err; nil is EIO. It says so: N is n. It is for Append, Rewrite, Write and
// UpdateMark.
func Short(n int, err error) Effect { return Effect{kind: kindShort, n: int64(n), err: err} }

// Torn lets a write fail with err (nil is EIO) when some of the sectors of 512
// bytes that it touches are on the disk: those with these numbers, the first
// one that it touches being 0, or, if there are none, a random choice, never all
// of them. Others that lie before the last one keep what they had, or hold zeros
// where nothing was. What is reported as written is what is contiguous from the
// beginning. It is for Append, Rewrite and Write.
func Torn(err error, sectors ...int) Effect {
	return Effect{kind: kindTorn, err: err, sectors: slices.Clone(sectors)}
}

// Delay lets an operation begin later, or with Rule.After end later.
func Delay(d time.Duration) Effect { return Effect{kind: kindDelay, d: d} }

// Hang keeps an operation until FS.Release, or until the rule is removed; then
// it is carried out. It ends with an error when its context is done or its
// handle is closed.
func Hang() Effect { return Effect{kind: kindHang} }

// Pretend lets an operation report success and do nothing. On Sync and SyncDir
// it is the drive that lies about its cache, on Append, Rewrite, Write, Truncate,
// Remove and UpdateMark a change that got lost, on TryLock and Lock a lock that
// excludes nobody.
func Pretend() Effect { return Effect{kind: kindPretend} }

// FlipBit inverts a bit of what is read, or on its way to be written. It is
// counted from the first bit of the transfer, and begins again after the last
// one; a negative bit is a random one. It is for Read, ReadMark, Append,
// Rewrite, Write and UpdateMark.
func FlipBit(bit int64) Effect { return Effect{kind: kindFlip, n: bit} }

// StaleSize lets Size and both kinds of Stat answer what was true up to age
// ago, as a cache of attributes does: a size is kept for age, once by every
// handle and once by every name, and what the handle itself writes or cuts is
// seen. Reads end there, with io.EOF. A storage with such a rule is not
// Props.StableSize. Times is -1, usually.
func StaleSize(age time.Duration) Effect { return Effect{kind: kindStale, d: age} }

// LoseLocks takes away all locks that are held through this FS, whatever the
// operation is, and behind their holders' backs: their Unlock succeeds.
func LoseLocks() Effect { return Effect{kind: kindLose} }

// cause is the error of the effect.
func (e Effect) cause() error {
	if e.err == nil {
		return syscall.EIO
	}
	return e.err
}

// String tells the effect.
func (e Effect) String() string {
	switch e.kind {
	case kindShort:
		return fmt.Sprintf("short write of %d bytes, %v", e.n, e.cause())
	case kindTorn:
		if len(e.sectors) == 0 {
			return fmt.Sprintf("torn write, %v", e.cause())
		}
		return fmt.Sprintf("torn write of sectors %v, %v", e.sectors, e.cause())
	case kindDelay:
		return fmt.Sprintf("delay of %v", e.d)
	case kindHang:
		return "hang"
	case kindPretend:
		return "pretend"
	case kindFlip:
		if e.n < 0 {
			return "flip a bit"
		}
		return fmt.Sprintf("flip bit %d", e.n)
	case kindStale:
		return fmt.Sprintf("sizes up to %v old", e.d)
	case kindLose:
		return "lose all locks"
	}
	return fmt.Sprintf("fail, %v", e.cause())
}
