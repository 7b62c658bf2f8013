package filestorage

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/durusdb/durus/storage"
)

// When a checkpoint of the index is written: by a pack before the swap, by Close
// when the file has grown enough, and when somebody asks for it. Never under the
// commit lock: it is about bytes that do not change any more.

// cleanup unmaps memory when nobody can reach x any more.
func cleanup(x *floor, unmap func() error) {
	runtime.AddCleanup(x, func(unmap func() error) { _ = unmap() }, unmap) // there is nobody to tell
}

// indexTries is how often WriteIndex syncs for what others commit meanwhile.
const indexTries = 20

// errAhead: the handle has read what is not durable yet.
var errAhead = errors.New("no index of what is not on the disk yet: try again")

// WriteIndex writes the checkpoint of the index, so that the next opening need
// not read the file. It makes durable what it is about first.
func (s *Storage) WriteIndex(ctx context.Context) error {
	if err := s.writable(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := s.Sync(ctx); err != nil {
			return err
		}
		if err := s.indexNow(); !errors.Is(err, errAhead) || try == indexTries {
			return err
		}
	}
}

func (s *Storage) indexNow() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.writeIndex(s.current())
}

// writeIndex writes a checkpoint of all that l knows, if that is durable.
func (s *Storage) writeIndex(l *lineage) error {
	c, sn, err := l.checkpoint()
	if err != nil {
		return err
	}
	defer sn.Release()
	if c.sparse(l.Objects()) {
		return nil
	}
	if err := c.write(s.fs, s.path, l.info.Perm, sn.Find); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.indexed = c.pos
	return nil
}

// Objects is how many objects the index holds.
func (l *lineage) Objects() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.objects
}

// checkpoint returns what a checkpoint says of this moment, but the positions,
// which are those of the snapshot that comes with it.
func (l *lineage) checkpoint() (*checkpoint, *snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead.Load() || l.damage != nil {
		return nil, nil, fmt.Errorf("durus: %s: no index of a file that was replaced or is damaged", l.path)
	}
	st := l.publish()
	if st.end == headerSize {
		return nil, nil, fmt.Errorf("durus: %s: it holds nothing yet that an index could tell of", l.path)
	}
	if st.base < st.end {
		return nil, nil, fmt.Errorf("durus: %s: %w", l.path, errAhead)
	}
	c := &checkpoint{
		id: l.header.ID, salt: l.header.Salt, chain: l.cur.chain, start: l.cur.last, frames: l.cur.frames, txs: l.cur.txs,
		origins: l.origins, originEnd: l.originEnd,
	}
	c.names = l.classes.first(c.cls)
	return c, l.begin(true), nil // nobody publishes another state meanwhile
}

// indexAtClose writes a checkpoint if the next opening would gain by it. What
// goes wrong costs time, nothing else.
func (s *Storage) indexAtClose(l *lineage) {
	l.mu.Lock()
	tail := l.cur.pos - l.indexed
	objects := int64(l.index.objects)
	rebuilt := l.index.floor != nil && l.index.floor.rebuilt.Load() != nil
	l.mu.Unlock()
	if tail < max(s.opts.indexTail, 8*objects) && !rebuilt {
		return
	}
	if err := s.writeIndex(l); err != nil {
		s.opts.Logger.Debug("durus: the index was not written", "path", s.path, "err", err)
	}
}

// writeIndex writes the checkpoint of the new file, as far as that has come, in
// the place of that of the old one, which whoever opens the old one in the next
// moments will have to do without. The bytes of the new file need not be on the
// disk yet: before they are, nobody opens it, and no other file fits.
func (p *Packing) writeIndex() {
	g := &p.out
	if p.dry || g.chain.pos < p.s.opts.indexTail || g.last == 0 {
		return
	}
	c := &checkpoint{
		id: g.header.ID, salt: g.header.Salt, chain: g.chain, start: g.last, frames: g.frames, txs: g.txs,
		names: p.l.classes.first(g.chain.cls),
	}
	if c.sparse(g.index.objects) {
		return
	}
	find := func(oid storage.OID) (storage.Position, error) { return g.index.get(oid), nil }
	if err := c.write(p.s.fs, p.s.path, p.l.info.Perm, find); err != nil {
		p.s.opts.Logger.Warn("durus: pack: the index was not written", "path", p.s.path, "err", err)
	}
}
