package filestorage

import (
	"context"
	"fmt"
	"sync"
	"unicode/utf8"

	"github.com/durusdb/durus/storage"
)

// lease is the blocks of object ids that this handle may give out. A block is
// recorded in the file before any of its ids is used, and no block is given
// twice (H10): whoever appends has caught up, so he knows the first free id.
// Blocks grow from 8 to 4096 with use. The next one rides in a commit of ours
// when the rest is short, so that a busy writer asks for none.
type lease struct {
	mu      sync.Mutex // guards all
	lineage uint64     // whose history the blocks are recorded in
	blocks  [2]block   // in use, next
	size    uint32     // of the next block to ask for
	asking  sync.Mutex // one goroutine asks for a block, the others wait for it
}

// block is ids from next up to end, exclusive.
type block struct{ next, end storage.OID }

const (
	minLeaseSize = 8
	maxLeaseSize = 4096
)

// pop takes an id; ok is false when none is left.
func (le *lease) pop(lineage uint64) (storage.OID, bool) {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.lineage != lineage {
		return 0, false
	}
	b := &le.blocks[0]
	if b.next == b.end {
		*b, le.blocks[1] = le.blocks[1], block{}
	}
	if b.next == b.end {
		return 0, false
	}
	b.next++
	return b.next - 1, true
}

// put takes a block that was recorded.
func (le *lease) put(lineage uint64, b block) {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.lineage != lineage { // the file was rewound: the old blocks are void
		le.lineage, le.blocks = lineage, [2]block{}
	}
	switch {
	case le.blocks[0].next == le.blocks[0].end:
		le.blocks[0] = b
	case le.blocks[1].next == le.blocks[1].end:
		le.blocks[1] = b
	}
	le.size = min(max(minLeaseSize, 2*uint32(b.end-b.next)), maxLeaseSize)
}

// carry keeps the blocks when the file was packed: the new one has them, too.
func (le *lease) carry(from, to uint64) {
	le.mu.Lock()
	defer le.mu.Unlock()
	if le.lineage == from {
		le.lineage = to
	}
}

// want is the size of the block to ask for now; 0 when there is enough.
func (le *lease) want(lineage uint64) uint32 {
	le.mu.Lock()
	defer le.mu.Unlock()
	left := le.blocks[0].end - le.blocks[0].next + le.blocks[1].end - le.blocks[1].next
	if le.lineage != lineage || le.size == 0 || le.blocks[1].next != le.blocks[1].end || uint32(left) > le.size/4 {
		return 0
	}
	return le.size
}

// ride puts the next block into the header of a transaction of ours. It is
// ours when the frame has been appended: see granted.
func (le *lease) ride(b *batch, d *draft) {
	n := le.want(b.l.id)
	if n == 0 || b.leased || b.chain.high+storage.OID(n) > storage.MaxOID {
		return
	}
	b.leased = true
	d.header.leaseFirst, d.header.leaseCount = b.chain.high, n
}

// granted takes the block of a frame that was appended.
func (le *lease) granted(l *lineage, h *frameHeader) {
	if h.leaseCount > 0 {
		le.put(l.id, block{h.leaseFirst, h.leaseFirst + storage.OID(h.leaseCount)})
	}
}

// NewOID implements storage.Storage.
func (s *Storage) NewOID(ctx context.Context) (storage.OID, error) {
	if err := s.writable(); err != nil {
		return 0, err
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	le := &s.lease
	if oid, ok := le.pop(s.current().id); ok {
		return oid, nil
	}
	le.asking.Lock()
	defer le.asking.Unlock()
	for {
		if oid, ok := le.pop(s.current().id); ok {
			return oid, nil
		}
		l := s.current()
		err := s.submit(ctx, &member{internal: true, run: func(b *batch) error {
			le.mu.Lock()
			n := max(le.size, minLeaseSize)
			le.mu.Unlock()
			if b.chain.high+storage.OID(n) > storage.MaxOID {
				return fmt.Errorf("%w: %s has no object ids left", storage.ErrTooLarge, s.path)
			}
			b.add(newLeaseDraft(b.chain.high, n))
			return nil
		}})
		if _, err = s.retry(l, err); err != nil {
			return 0, err
		}
	}
}

// returnLease gives back what is left, if nobody took a block after ours.
func (s *Storage) returnLease(ctx context.Context, l *lineage) error {
	le := &s.lease
	le.mu.Lock()
	rest := le.blocks
	mine := le.lineage == l.id
	le.mu.Unlock()
	if !mine || rest[0].next == rest[0].end && rest[1].next == rest[1].end {
		return nil
	}
	return s.underLock(ctx, l, func(b *batch) error {
		high := b.chain.high
		for i := len(rest) - 1; i >= 0; i-- {
			if r := rest[i]; r.next < r.end && r.end == high {
				high = r.next
			}
		}
		le.mu.Lock()
		le.blocks = [2]block{} // they are free, or lost
		le.mu.Unlock()
		if high < b.chain.high {
			b.add(newLeaseDraft(high, 0))
		}
		return nil
	})
}

// ClassID implements storage.Storage. A class gets its number by a frame of
// its own, appended under the lock before its first use.
func (s *Storage) ClassID(ctx context.Context, name string) (storage.ClassID, error) {
	if id, ok := s.current().classes.id(name); ok {
		return id, nil
	}
	if err := s.writable(); err != nil {
		return 0, err
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	if name == "" || len(name) > storage.MaxClassName || !utf8.ValidString(name) {
		return 0, fmt.Errorf("%w: class name %.40q: give 1 to %d bytes of UTF-8", storage.ErrTooLarge, name, storage.MaxClassName)
	}
	for {
		l := s.current()
		if err := s.nameClass(ctx, name); err != nil {
			if again, err := s.retry(l, err); !again {
				return 0, err
			}
			continue
		}
		if id, ok := s.current().classes.id(name); ok {
			return id, nil
		}
		if l == s.current() {
			return 0, s.fault(l.rewoundError("a class was registered while it was replaced"))
		}
	}
}

// nameClass appends a class frame unless the file has one for that name.
func (s *Storage) nameClass(ctx context.Context, name string) error {
	return s.submit(ctx, &member{internal: true, run: func(b *batch) error {
		if _, ok := b.l.classes.id(name); ok || b.named[name] {
			return nil
		}
		if b.chain.cls >= storage.MaxClasses {
			return fmt.Errorf("%w: %s has %d classes, the limit", storage.ErrTooLarge, s.path, b.chain.cls)
		}
		if b.named == nil {
			b.named = make(map[string]bool)
		}
		b.named[name] = true
		b.add(newClassDraft(storage.ClassID(b.chain.cls+1), name))
		return nil
	}})
}
