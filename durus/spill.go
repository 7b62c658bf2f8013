package durus

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"

	"github.com/durusdb/durus/vfs"
)

// spill is where a transaction puts aside the encoded objects that do not fit
// into memory, and the states of its savepoints: bytes that are appended and
// read again. The newest ones are in memory, the others in a temporary file
// beside the database. Where that cannot be had, or is full, all of it stays in
// memory: a transaction that is too large may fail then, but for no other
// reason than before.
//
// The file is called as the database with ".spill" behind it, for a moment:
// once it is open its name is removed, so it goes with its process, however
// that ends. What a process leaves that dies in that moment, which is one file
// of a few bytes, is replaced by the next one to spill.
type spill struct {
	fsys   vfs.FS // nil: memory only
	path   string // of the database
	logger *slog.Logger
	limit  int // how much of the end is in memory, bytes

	file   vfs.File // nil until something was written, and when it cannot be had
	name   string   // of the file, if it still has one
	tried  bool     // file is what it will be
	full   bool     // nothing more goes into it
	inFile int64    // how much of it the file holds
	tail   []byte   // what follows
}

const (
	// spillSuffix is behind the name of the database.
	spillSuffix = ".spill"
	// spillToken is how many random bytes the file begins with: the name is
	// the same for all processes, and they tell whose file it leads to.
	spillToken = 16

	minSpillTail = 1 << 10
	maxSpillTail = 1 << 20
)

// newSpill returns an empty one for a database with a cache of that size.
func newSpill(db *DB) *spill {
	s := &spill{fsys: db.opts.FS, path: db.path, logger: db.opts.Logger}
	s.limit = int(min(max(db.opts.CacheBytes/8, minSpillTail), maxSpillTail))
	if s.logger == nil {
		s.logger = slog.Default()
	}
	return s
}

// end is where the next piece goes.
func (s *spill) end() int64 { return s.inFile + int64(len(s.tail)) }

// put appends p and returns where it is.
func (s *spill) put(p []byte) int64 {
	at := s.end()
	s.tail = append(s.tail, p...)
	if len(s.tail) >= s.limit && s.fsys != nil {
		s.flush()
	}
	return at
}

// flush moves the tail to the file.
func (s *spill) flush() {
	if !s.tried {
		s.tried = true
		var err error
		if s.file, s.name, err = createSpill(s.fsys, s.path); err != nil {
			s.stayInMemory(err)
			return
		}
	}
	if s.file == nil || s.full {
		return
	}
	if n, err := s.file.Append(s.tail, spillToken+s.inFile); err != nil || n < len(s.tail) {
		s.full = true // what the file holds stays readable
		s.stayInMemory(errors.Join(err, s.file.Truncate(spillToken+s.inFile)))
		return
	}
	s.inFile += int64(len(s.tail))
	s.tail = s.tail[:0]
}

func (s *spill) stayInMemory(err error) {
	s.logger.Warn("durus: a large transaction has to stay in memory", "path", s.path, "err", err)
}

// read fills p with what was put at off.
func (s *spill) read(p []byte, off int64) error {
	if off >= s.inFile {
		copy(p, s.tail[off-s.inFile:])
		return nil
	}
	n, err := s.file.ReadAt(p, spillToken+off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("durus: read the temporary file of a large transaction beside %s: %w", s.path, err)
}

// cut forgets what was put at off and behind.
func (s *spill) cut(off int64) {
	if off >= s.inFile {
		s.tail = s.tail[:off-s.inFile]
		return
	}
	s.tail = s.tail[:0]
	s.inFile = off
	if err := s.file.Truncate(spillToken + off); err != nil {
		s.full = true // nothing can be appended at its end, which is unknown now
	}
}

// close gives everything back.
func (s *spill) close() {
	if s == nil || s.file == nil {
		return
	}
	_ = s.file.Close() // it is not wanted any more
	if s.name != "" {
		_ = s.fsys.Remove(s.name) // another process may have its file there by now: it tries again
	}
	s.file = nil
}

// createSpill makes the temporary file and removes its name. Its name is the one
// that all processes use, so that a file which one of them has left is
// replaced; they find out by the token that it begins with when they got each
// other's. name is empty if no name leads to the file any more.
func createSpill(fsys vfs.FS, path string) (f vfs.File, name string, err error) {
	fsys = vfs.Blocking(fsys)
	resolved, err := fsys.Resolve(path)
	if err != nil {
		return nil, "", err
	}
	name = resolved + spillSuffix
	for range 16 {
		var token, found [spillToken]byte
		rand.Read(token[:])
		w := fsys.Create(name, vfs.ReplaceIfExists, 0o600)
		w.Write(token[:]) // errors come back from Commit
		if err = w.Commit(); err != nil {
			return nil, "", err
		}
		f = fsys.Open(name, vfs.Append)
		if _, err = f.ReadAt(found[:], 0); err == nil && found == token {
			break
		}
		_ = f.Close() // it is another process's, or was replaced meanwhile
		f = nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, io.EOF) {
			return nil, "", err
		}
	}
	if f == nil {
		return nil, "", fmt.Errorf("durus: %s is replaced again and again", name)
	}
	if err := fsys.Remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
		name = ""
	}
	// Some storage may not keep a file without a name.
	var probe [spillToken + 1]byte
	if _, err = f.Append([]byte{1}, spillToken); err == nil {
		_, err = f.ReadAt(probe[:], 0)
	}
	if err == nil && !bytes.Equal(probe[spillToken:], []byte{1}) {
		err = vfs.ErrNotSupported
	}
	if err == nil {
		err = f.Truncate(spillToken)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	return f, name, nil
}
