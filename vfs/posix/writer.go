package posix

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/durusdb/durus/vfs"
)

const (
	tempInfix   = ".new."
	tempRandom  = 8 // bytes
	tempTries   = 64
	writeBuffer = 64 << 10
)

// writer is a vfs.Writer. Its temporary file appears with the first byte.
type writer struct {
	name string
	mode vfs.CreateMode
	perm fs.FileMode

	temp string
	f    *os.File
	buf  *bufio.Writer
	err  error // the first one; Commit returns it, each time
	done bool  // committed or dropped
}

// Write implements vfs.Writer. It reports all bytes as taken; what went wrong
// is told by Commit.
func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, fail("create", w.name, vfs.ErrClosed)
	}
	if w.start(); w.err == nil {
		_, err := w.buf.Write(p)
		w.keep(err)
	}
	return len(p), nil
}

// keep remembers the first error.
func (w *writer) keep(err error) {
	if w.err == nil {
		w.err = fail("create", w.name, err)
	}
}

// start creates the temporary file, once.
func (w *writer) start() {
	if w.f != nil || w.err != nil {
		return
	}
	sweep(w.name)
	for range tempTries {
		var random [tempRandom]byte
		_, _ = rand.Read(random[:]) // never fails, by its documentation
		temp := w.name + tempInfix + hex.EncodeToString(random[:])
		f, err := createTemp(temp, w.perm)
		if errors.Is(err, fs.ErrExist) {
			continue // also: another process has swept it away before it was locked
		}
		if err != nil {
			w.keep(err)
			return
		}
		w.temp, w.f, w.buf = temp, f, bufio.NewWriterSize(f, writeBuffer)
		if w.mode == vfs.ReplaceIfExists {
			// Before any byte is in it: nobody may read it who could not read the old file.
			w.keep(inherit(f, w.name, w.perm))
		}
		return
	}
	w.keep(fs.ErrExist)
}

// Commit implements vfs.Writer. The file's bytes and size are on the disk
// before it gets its name; a name that a power cut leaves without its bytes
// would be an empty database.
func (w *writer) Commit() error {
	if w.done {
		if w.err == nil {
			return fail("create", w.name, vfs.ErrClosed)
		}
		return w.err
	}
	w.start()
	if w.err == nil {
		w.keep(w.buf.Flush())
	}
	if w.err == nil {
		w.keep(w.f.Sync())
	}
	if w.err == nil {
		w.keep(w.publish())
	}
	if w.err != nil {
		_ = w.Abort() // the error that counts is the one before
		return w.err
	}
	w.done = true
	_ = w.f.Close() // all bytes are on the disk already
	return nil
}

func (w *writer) publish() error {
	if w.mode == vfs.FailIfExists {
		return outcome(w.f, w.name, publishNew(w.f, w.temp, w.name))
	}
	if info, err := os.Lstat(w.name); err == nil && !info.Mode().IsRegular() {
		return vfs.ErrNotRegular
	}
	return outcome(w.f, w.name, publishOver(w.f, w.temp, w.name))
}

// Abort implements vfs.Writer.
func (w *writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	if w.f == nil {
		return nil
	}
	return fail("drop the temporary file of", w.name, dropTemp(w.f, w.temp))
}

// sweep removes temporary files of name whose writers are dead. It is a
// service: what it cannot do, or not yet, the next one does.
func sweep(name string) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, base+tempInfix) && isTemp(name) {
			sweepTemp(filepath.Join(dir, name))
		}
	}
}

// isTemp reports whether the name is one of a temporary file.
func isTemp(name string) bool {
	i := strings.LastIndex(name, tempInfix)
	if i < 0 {
		return false
	}
	raw, err := hex.DecodeString(name[i+len(tempInfix):])
	return err == nil && len(raw) == tempRandom
}
