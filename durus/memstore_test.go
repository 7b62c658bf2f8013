package durus

import (
	"context"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/durusdb/durus/storage"
)

// memStore is a database in memory without any file: the least that a
// storage.Storage may be, to test the object layer by itself. Any number of
// handles may be open on one store. Positions are numbers of records.
type memStore struct {
	mu      sync.Mutex
	lineage uint64
	records []storage.Record // position p is records[p-1]
	newest  map[OID]storage.Position
	txs     []memTx
	classes []string
	nextOID OID
	clock   TID
	held    *memHold
	open    atomic.Int64 // snapshots that were not released

	fail func(op string) error // called without mu; may inject errors
}

type memTx struct {
	storage.Transaction
	end storage.Position // after its records
}

func newMemStore() *memStore {
	return &memStore{lineage: 1, newest: map[OID]storage.Position{}, nextOID: 2, clock: 1000}
}

// handle opens the store once more.
func (m *memStore) handle() *memHandle { return &memHandle{m: m} }

func (m *memStore) failure(op string) error {
	if m.fail == nil {
		return nil
	}
	return m.fail(op)
}

type memHandle struct {
	m      *memStore
	closed atomic.Bool
	stats  struct{ commits, conflicts, holds atomic.Uint64 }
}

func (h *memHandle) use(op string) error {
	if h.closed.Load() {
		return storage.ErrClosed
	}
	return h.m.failure(op)
}

func (h *memHandle) Begin(ctx context.Context, writable bool) (storage.Snapshot, error) {
	if err := h.use("begin"); err != nil {
		return nil, err
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.m.open.Add(1)
	s := &memSnap{m: h.m, lineage: h.m.lineage, end: storage.Position(len(h.m.records))}
	if n := len(h.m.txs); n > 0 {
		s.tid = h.m.txs[n-1].TID
	}
	return s, nil
}

func (h *memHandle) Commit(ctx context.Context, c *storage.Commit) (TID, error) {
	if err := h.use("commit"); err != nil {
		return 0, err
	}
	records, err := withSpilled(c.Records, c)
	if err != nil || len(records) == 0 {
		return c.Base.TID(), err
	}
	m := h.m
	m.mu.Lock()
	defer m.mu.Unlock()
	base := c.Base.(*memSnap)
	checked := base.end
	for {
		if base.lineage != m.lineage {
			return 0, storage.ErrRewound
		}
		if err := m.conflicts(c, records, checked); err != nil {
			h.stats.conflicts.Add(1)
			return 0, err
		}
		checked = storage.Position(len(m.records))
		r, ok := c.Reads.(storage.Rebaser)
		if !ok || !r.Stale() {
			break
		}
		m.open.Add(1)
		now := &memSnap{m: m, lineage: m.lineage, end: checked, tid: m.txs[len(m.txs)-1].TID}
		m.mu.Unlock() // it reads the snapshot
		records, err = r.Rebase(now, false)
		now.Release()
		if err == nil {
			records, err = withSpilled(records, c)
		}
		m.mu.Lock()
		if err != nil {
			return 0, err
		}
	}
	writes := map[OID]bool{}
	for _, r := range records {
		writes[r.OID] = true
	}
	for _, r := range records {
		for _, to := range r.Strong {
			if m.newest[to] == 0 && !writes[to] {
				return 0, fmt.Errorf("object %s refers to %s: %w", r.OID, to, storage.ErrDangling)
			}
		}
	}
	tx := memTx{}
	m.clock++
	tx.TID, tx.Time, tx.Meta = m.clock, time.Now(), c.Meta
	for _, r := range records {
		r.Prev = m.newest[r.OID]
		m.records = append(m.records, r)
		m.newest[r.OID] = storage.Position(len(m.records))
		tx.OIDs = append(tx.OIDs, r.OID)
	}
	tx.end = storage.Position(len(m.records))
	m.txs = append(m.txs, tx)
	h.stats.commits.Add(1)
	return tx.TID, nil
}

// conflicts looks for what a commit depends on in the records from checked on.
// The caller holds mu.
func (m *memStore) conflicts(c *storage.Commit, records []storage.Record, checked storage.Position) error {
	writes := map[OID]bool{}
	for _, r := range records {
		writes[r.OID] = true
	}
	_, rebaser := c.Reads.(storage.Rebaser)
	var lost []storage.ConflictObject
	for _, tx := range m.txs {
		for p := max(checked, tx.end-storage.Position(len(tx.OIDs))); p < tx.end; p++ {
			r := m.records[p]
			if c.Reads != nil && c.Reads.Depends(r.OID, p+1) || writes[r.OID] && !rebaser {
				class, _ := storage.SplitClass(m.classes[r.Class-1])
				lost = append(lost, storage.ConflictObject{OID: r.OID, Class: class, Committed: tx.TID})
			}
		}
	}
	if lost != nil {
		return &storage.ConflictError{Objects: lost}
	}
	return nil
}

// withSpilled returns records and what a commit has not in memory.
func withSpilled(records []storage.Record, c *storage.Commit) ([]storage.Record, error) {
	if c.Spilled == nil {
		return records, nil
	}
	records = slices.Clone(records)
	for i := range c.Spilled.Len() {
		r := c.Spilled.Record(i)
		p := make([]byte, r.Size)
		if err := c.Spilled.ReadPayload(i, p); err != nil {
			return nil, err
		}
		if crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) != r.Sum {
			return nil, fmt.Errorf("object %s was damaged where it was put aside", r.OID)
		}
		records = append(records, storage.Record{OID: r.OID, Class: r.Class, Codec: r.Codec, Payload: p, Strong: slices.Clone(r.Strong), Weak: slices.Clone(r.Weak)})
	}
	return records, nil
}

type memHold struct {
	m    *memStore
	once sync.Once
}

func (h *memHandle) Hold(ctx context.Context, limit time.Duration) (storage.Hold, error) {
	if err := h.use("hold"); err != nil {
		return nil, err
	}
	h.stats.holds.Add(1)
	hold := &memHold{m: h.m}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.m.held = hold
	return hold, nil
}

func (h *memHold) Release() {
	h.once.Do(func() {
		h.m.mu.Lock()
		defer h.m.mu.Unlock()
		if h.m.held == h {
			h.m.held = nil
		}
	})
}

// isHeld tells whether somebody has the commit lock as a courtesy.
func (m *memStore) isHeld() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held != nil
}

func (h *memHandle) NewOID(ctx context.Context) (OID, error) {
	if err := h.use("oid"); err != nil {
		return 0, err
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.m.nextOID++
	return h.m.nextOID - 1, nil
}

func (h *memHandle) ClassID(ctx context.Context, name string) (storage.ClassID, error) {
	if err := h.use("class"); err != nil {
		return 0, err
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	i := slices.Index(h.m.classes, name)
	if i < 0 {
		h.m.classes = append(h.m.classes, name)
		i = len(h.m.classes) - 1
	}
	return storage.ClassID(i + 1), nil
}

func (h *memHandle) Sync(ctx context.Context) error { return h.use("sync") }

func (h *memHandle) LastTID() (TID, error) {
	s, err := h.Begin(context.Background(), false)
	if err != nil {
		return 0, err
	}
	defer s.Release()
	return s.TID(), nil
}

func (h *memHandle) Committed(tid TID) (bool, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return slices.ContainsFunc(h.m.txs, func(tx memTx) bool { return tx.TID == tid }), h.use("committed")
}

func (h *memHandle) Transactions(from, to TID) iter.Seq2[storage.Transaction, error] {
	return func(yield func(storage.Transaction, error) bool) {
		h.m.mu.Lock()
		txs := slices.Clone(h.m.txs)
		h.m.mu.Unlock()
		for _, tx := range txs {
			if tx.TID >= from && tx.TID <= to && !yield(tx.Transaction, nil) {
				return
			}
		}
	}
}

func (h *memHandle) Stats() storage.Stats {
	return storage.Stats{Commits: h.stats.commits.Load(), Conflicts: h.stats.conflicts.Load()}
}

func (h *memHandle) Close() error {
	h.closed.Store(true)
	return nil
}

// rewind replaces the file by what it was after its first n transactions, with
// the same content at other positions.
func (m *memStore) rewind(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lineage++
	m.txs = m.txs[:n]
	old := m.records
	m.records, m.newest = nil, map[OID]storage.Position{}
	for i, tx := range m.txs {
		start := tx.end - storage.Position(len(tx.OIDs))
		for _, r := range old[start:tx.end] {
			m.records = append(m.records, r)
			m.newest[r.OID] = storage.Position(len(m.records))
		}
		m.txs[i].end = storage.Position(len(m.records))
	}
}

type memSnap struct {
	m        *memStore
	lineage  uint64
	end      storage.Position
	tid      TID
	released atomic.Bool
}

func (s *memSnap) TID() TID        { return s.tid }
func (s *memSnap) Lineage() uint64 { return s.lineage }

func (s *memSnap) Find(oid OID) (storage.Position, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.lineage != s.m.lineage {
		return 0, storage.ErrRewound
	}
	p := s.m.newest[oid]
	for p > s.end {
		p = s.m.records[p-1].Prev
	}
	if p == 0 {
		return 0, storage.ErrNotFound
	}
	return p, nil
}

func (s *memSnap) Read(oid OID, pos storage.Position) (storage.Record, error) {
	if s.released.Load() {
		panic("read from a snapshot that was released")
	}
	if err := s.m.failure("read"); err != nil {
		return storage.Record{}, err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.lineage != s.m.lineage {
		return storage.Record{}, storage.ErrRewound
	}
	r := s.m.records[pos-1]
	r.Payload = slices.Clone(r.Payload)
	return r, nil
}

func (s *memSnap) WrittenBy(_ OID, pos storage.Position) (TID, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	for _, tx := range s.m.txs {
		if pos <= tx.end {
			return tx.TID, nil
		}
	}
	return 0, storage.ErrRewound
}

func (s *memSnap) Objects(from OID) iter.Seq2[storage.Place, error] {
	return func(yield func(storage.Place, error) bool) {
		s.m.mu.Lock()
		oids := slices.Sorted(maps.Keys(s.m.newest))
		s.m.mu.Unlock()
		for _, oid := range oids {
			if oid < from {
				continue
			}
			pos, err := s.Find(oid)
			if err == storage.ErrNotFound {
				continue
			}
			if !yield(storage.Place{OID: oid, Position: pos}, err) || err != nil {
				return
			}
		}
	}
}

func (s *memSnap) Class(oid OID, pos storage.Position) (storage.ClassID, error) {
	rec, err := s.Read(oid, pos)
	return rec.Class, err
}

func (s *memSnap) Prefetch([]storage.Position) {}

func (s *memSnap) ClassName(id storage.ClassID) (string, bool) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if id == 0 || int(id) > len(s.m.classes) {
		return "", false
	}
	return s.m.classes[id-1], true
}

func (s *memSnap) Release() {
	if !s.released.Swap(true) {
		s.m.open.Add(-1)
	}
}
