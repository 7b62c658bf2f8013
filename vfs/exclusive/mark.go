package exclusive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/durusdb/durus/vfs"
)

// mark is the record of a lock file that is an ordinary file of a storage. One
// process at a time writes it, so a mutex is all the latch there is.
type mark struct {
	fs   vfs.FS
	name string
	mode vfs.Mode
	perm fs.FileMode

	latch sync.Mutex // held by UpdateMark; before mu

	mu          sync.Mutex // guards what follows
	file        vfs.File   // nil while there is none
	looked      bool
	closed      bool
	incarnation uint64
}

func (m *mark) Incarnation() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.incarnation
}

func (m *mark) Reopen() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reopen(m.mode != vfs.ReadOnly)
}

// reopen makes the file that the name leads to the current one. m.mu is held.
func (m *mark) reopen(create bool) error {
	if m.closed {
		return fmt.Errorf("exclusive: open %s: %w", m.name, vfs.ErrClosed)
	}
	m.looked = true
	if m.file != nil {
		if info, err := m.file.Stat(); err == nil && info.Links > 0 {
			return nil
		}
	}
	f := m.fs.Open(m.name, m.mode)
	_, err := f.Stat()
	if errors.Is(err, fs.ErrNotExist) {
		_ = f.Close() // it is not open
		if !create {
			return nil
		}
		w := m.fs.Create(m.name, vfs.FailIfExists, m.perm)
		w.Write(make([]byte, vfs.MarkSize)) // errors come back from Commit
		if err := w.Commit(); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, vfs.ErrUnknownOutcome) {
			return fmt.Errorf("exclusive: %w", err)
		}
		f = m.fs.Open(m.name, m.mode)
		_, err = f.Stat()
	}
	if err != nil {
		_ = f.Close() // the error before is the one that counts
		return fmt.Errorf("exclusive: %w", err)
	}
	old := m.file
	m.file = f
	m.incarnation++
	if old != nil {
		return old.Close()
	}
	return nil
}

// current is the open lock file, nil if there is none. The first call opens one
// that exists; later ones leave that to Reopen.
func (m *mark) current() (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil && !m.looked || m.closed {
		if err := m.reopen(false); err != nil {
			return nil, err
		}
	}
	return m.file, nil
}

func (m *mark) Deleted() (bool, error) {
	f, err := m.current()
	if err != nil || f == nil {
		return err == nil, err
	}
	info, err := f.Stat()
	return err == nil && info.Links == 0, err
}

func (m *mark) ReadMark(p *[vfs.MarkSize]byte) (n int, err error) {
	f, err := m.current()
	if err != nil || f == nil {
		return 0, err
	}
	if n, err = f.ReadAt(p[:], 0); errors.Is(err, io.EOF) {
		err = nil
	}
	if *p == [vfs.MarkSize]byte{} { // as it was created
		n = 0
	}
	return n, err
}

func (m *mark) UpdateMark(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
	if m.mode == vfs.ReadOnly {
		return fmt.Errorf("exclusive: write %s: %w", m.name, vfs.ErrMode)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.latch.Lock()
	defer m.latch.Unlock()
	f, err := m.current()
	if err == nil && f == nil {
		if err = m.Reopen(); err == nil {
			f, err = m.current()
		}
	}
	if err != nil {
		return err
	}
	var p [vfs.MarkSize]byte
	n, err := m.ReadMark(&p)
	if err != nil || !update(&p, n == vfs.MarkSize) {
		return err
	}
	_, err = f.Rewrite(p[:], 0)
	return err
}

func (m *mark) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}
