package posix

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rewrite writes bytes again that a failed write-back may have lost, so that the
// next sync brings them to the disk.
//
// On ext4 to write again and to sync is not enough for blocks that are new to
// the file, which is what appends are. Their extent is unwritten until a
// write-back has succeeded; when the first one failed, a second one of the page
// that is still cached goes to the right block, fdatasync reports success, and
// the extent stays unwritten: after a power cut the block is zeros (seen on Linux
// 6.18 by internal/fusedisk; xfs and btrfs are right). So it is asked what has
// become of the extents, and where one is unwritten after a write-back, the
// blocks are given up and written anew.
//
// Who reads there without a lock may meet zeros for a moment. It happens only
// where a disk has failed, and only to bytes that nobody was told are durable.
func (f *file) rewrite(p []byte, off int64) (int, error) {
	n, err := f.write("rewrite", p, off)
	if err != nil {
		return n, err
	}
	h, err := f.open()
	if err != nil {
		return 0, err
	}
	if err := renewUnwritten(h, off, off+int64(n)); err != nil {
		return 0, fail("rewrite", f.name, err)
	}
	return n, nil
}

// maxRenewals bounds how often blocks are given up: a disk that goes on failing
// gets an error.
const maxRenewals = 3

// renewUnwritten writes the blocks of a range anew until none of them is in an
// unwritten extent after it was written back.
func renewUnwritten(h *os.File, from, to int64) error {
	for range maxRenewals {
		lost, err := unwritten(h, from, to)
		if err != nil || len(lost) == 0 {
			return err
		}
		for _, x := range lost {
			if err := renew(h, x); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the file system does not keep what is written: %w", unix.EIO)
}

// extent is a range of whole blocks, which may end behind the file.
type extent struct{ from, to int64 }

// renew gives the blocks of an extent up and writes their bytes again. The
// caller holds the lock, so nobody appends meanwhile.
func renew(h *os.File, x extent) error {
	b := make([]byte, x.to-x.from)
	n, err := h.ReadAt(b, x.from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	err = withFD(h, func(fd int) error {
		return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, x.from, x.to-x.from)
	})
	if err != nil {
		return err
	}
	c, err := h.SyscallConn()
	if err != nil {
		return err
	}
	_, err = writeAt(c, b[:n], x.from)
	return err
}

// fiemapExtents is how many extents are asked for at once.
const fiemapExtents = 32

// fiemap is struct fiemap of linux/fiemap.h.
type fiemap struct {
	start, length             uint64
	flags, mapped, count, pad uint32
	extents                   [fiemapExtents]fiemapExtent
}

type fiemapExtent struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

// Constants of linux/fs.h and linux/fiemap.h.
const (
	fsIocFiemap      = 0xc020660b
	fiemapFlagSync   = 0x1 // write back first
	fiemapExtentLast = 0x1
	fiemapUnwritten  = 0x800
)

// renewBlock is a multiple of the block size of every file system.
const renewBlock = 64 << 10

// unwritten writes a range back and returns the unwritten extents in it, cut to
// the blocks near the range; none, if the file system does not tell.
func unwritten(h *os.File, from, to int64) (lost []extent, err error) {
	near := extent{from / renewBlock * renewBlock, (to + renewBlock - 1) / renewBlock * renewBlock}
	m := new(fiemap)
	for at := from; at < to; {
		*m = fiemap{start: uint64(at), length: uint64(to - at), flags: fiemapFlagSync, count: fiemapExtents}
		err := withFD(h, func(fd int) error {
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fsIocFiemap, uintptr(unsafe.Pointer(m))); errno != 0 {
				return errno
			}
			return nil
		})
		switch {
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EBADR), errors.Is(err, unix.EPERM):
			return nil, nil
		case err != nil:
			return nil, err
		case m.mapped == 0:
			return lost, nil
		}
		for _, e := range m.extents[:min(m.mapped, fiemapExtents)] {
			if e.flags&fiemapUnwritten != 0 {
				lost = append(lost, extent{max(int64(e.logical), near.from), min(int64(e.logical+e.length), near.to)})
			}
			if e.flags&fiemapExtentLast != 0 {
				return lost, nil
			}
			at = int64(e.logical + e.length)
		}
	}
	return lost, nil
}
