package filestorage

import (
	"errors"
	"io"
)

// window looks at a file through a buffer, so that a scan of small frames
// costs one read for many of them. Its size is fixed when it is made: what is
// appended meanwhile is not seen.
type window struct {
	file io.ReaderAt // nil: the buffer is all there is
	size int64
	buf  []byte
	off  int64 // of buf in the file

	least int64 // how much is read at once; 0: windowSize
}

// windowSize is how much is read at once; one record may need more.
const windowSize = 128 << 10

// errShrunk says that the file ended before the size that was just asked for.
var errShrunk = errors.New("the file became shorter while it was read")

// bytes returns n bytes at off, valid until the next call. The caller has
// checked that they lie within size.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:][:n], nil
	}
	if w.file == nil {
		return nil, errShrunk
	}
	least := w.least
	if least == 0 {
		least = windowSize
	}
	want := int(min(max(int64(n), least), w.size-off))
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	got, err := w.file.ReadAt(w.buf[:want], off)
	w.off, w.buf = off, w.buf[:got]
	if got >= n {
		return w.buf[:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errShrunk
	}
	return nil, err
}

// mem returns a window over bytes that are in memory.
func memWindow(b []byte, off int64) *window {
	return &window{buf: b, off: off, size: off + int64(len(b))}
}
