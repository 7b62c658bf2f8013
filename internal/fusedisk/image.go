package fusedisk

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Sector is the smallest piece that a disk writes whole, in bytes.
const Sector = 512

// blockSize is the unit in which images share memory.
const blockSize = 4096

type block = [blockSize]byte

// Image is what a disk holds. Its blocks never change once they are in it, so
// a clone shares them, and a disk that begins with an image copies nothing
// before it is written. An Image is safe for concurrent reading.
type Image struct {
	blocks []*block // nil is a block of zeros
}

// NewImage returns an image of zeros. size is in bytes, a multiple of 4096.
func NewImage(size int64) Image {
	if size <= 0 || size%blockSize != 0 {
		panic(fmt.Sprintf("fusedisk: an image of %d bytes: it must be a multiple of %d", size, blockSize))
	}
	return Image{make([]*block, size/blockSize)}
}

// Size is the size of the disk in bytes.
func (im Image) Size() int64 { return int64(len(im.blocks)) * blockSize }

// Clone returns an image that changes independently.
func (im Image) Clone() Image { return Image{append([]*block(nil), im.blocks...)} }

// ReadAt implements io.ReaderAt.
func (im Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("fusedisk: read before the disk")
	}
	n := 0
	for n < len(p) && off < im.Size() {
		in := int(off % blockSize)
		part := p[n:min(len(p), n+blockSize-in)]
		if b := im.blocks[off/blockSize]; b != nil {
			copy(part, b[in:])
		} else {
			clear(part)
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// write puts p at off, which both lie inside the image. p becomes part of the
// image and must not change any more.
func (im Image) write(p []byte, off int64) {
	for len(p) > 0 {
		in := int(off % blockSize)
		n := min(len(p), blockSize-in)
		at := &im.blocks[off/blockSize]
		if n == blockSize {
			*at = (*block)(p)
		} else {
			b := new(block)
			if *at != nil {
				*b = **at
			}
			copy(b[in:], p[:n])
			*at = b
		}
		p, off = p[n:], off+int64(n)
	}
}

// ReadImage reads an image from a file. The size of the file must be a
// multiple of 4096.
func ReadImage(name string) (_ Image, err error) {
	f, err := os.Open(name)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Image{}, err
	}
	im := NewImage(info.Size())
	for i := range im.blocks {
		b := new(block)
		if _, err := io.ReadFull(f, b[:]); err != nil {
			return Image{}, err
		}
		if *b != (block{}) {
			im.blocks[i] = b
		}
	}
	return im, nil
}

// WriteFile writes the image to a new sparse file, to be looked at with other
// tools.
func (im Image) WriteFile(name string) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(im.Size()); err != nil {
		return err
	}
	for i, b := range im.blocks {
		if b == nil {
			continue
		}
		if _, err := f.WriteAt(b[:], int64(i)*blockSize); err != nil {
			return err
		}
	}
	return nil
}
