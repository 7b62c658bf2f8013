package fault

import (
	"io"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

// size is what is remembered of a file: of a handle (by vfs.File) the size
// alone, of a name (by string) all.
type size struct {
	info vfs.Info
	at   time.Time
}

// stale answers from memory, or asks and remembers.
func (f *FS) stale(c *wrap.Call, age time.Duration, next func()) {
	switch c.Op {
	case wrap.Read:
		f.staleRead(c, age, next)
	case wrap.Stat:
		if info, ok := f.recall(c.Name, age); ok {
			c.Info, c.Err = info, nil
			return
		}
		if next(); c.Err == nil {
			f.remember(c.Name, c.Info)
		}
	case wrap.FileStat: // who has it open knows what else is to be known
		info, ok := f.recall(c.File, age)
		if next(); c.Err != nil {
			return
		}
		if ok {
			c.Info.Size = info.Size
		} else {
			f.remember(c.File, c.Info)
		}
	case wrap.Size:
		if info, ok := f.recall(c.File, age); ok {
			c.Info.Size, c.Err = info.Size, nil
			return
		}
		if next(); c.Err == nil {
			f.remember(c.File, c.Info)
		}
	}
}

// staleRead reads as far as the file is known to go.
func (f *FS) staleRead(c *wrap.Call, age time.Duration, next func()) {
	info, ok := f.recall(c.File, age)
	if !ok {
		n, err := c.File.Size()
		if err != nil {
			c.Err = err
			return
		}
		info = vfs.Info{Size: n}
		f.remember(c.File, info)
	}
	if c.Off < 0 || int64(len(c.Data)) <= info.Size-c.Off {
		next()
		return
	}
	known := c.Data[:max(info.Size-c.Off, 0)]
	with(c, known, next)
	if c.Err == nil && c.N < len(c.Data) {
		c.Err = io.EOF
	}
}

func (f *FS) recall(key any, age time.Duration) (vfs.Info, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.sizes[key]
	return s.info, ok && time.Since(s.at) < age
}

func (f *FS) remember(key any, info vfs.Info) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sizes[key] = size{info, time.Now()}
}

// trackSize follows what a call has changed itself.
func (f *FS) trackSize(c *wrap.Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.sizes) == 0 {
		return
	}
	switch c.Op {
	case wrap.Append, wrap.Rewrite:
		if s, ok := f.sizes[c.File]; ok && c.N > 0 {
			s.info.Size = max(s.info.Size, c.Off+int64(c.N))
			f.sizes[c.File] = s
		}
	case wrap.Truncate:
		if s, ok := f.sizes[c.File]; ok && c.Err == nil {
			s.info.Size = c.Off
			f.sizes[c.File] = s
		}
	case wrap.Close:
		delete(f.sizes, c.File)
	case wrap.Commit, wrap.Remove:
		delete(f.sizes, c.Name)
	}
}
