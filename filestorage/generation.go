package filestorage

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// generation is the file that a pack writes: header, classes, base frames, and
// then what the old file got meanwhile. Nobody sees it before it takes the old
// one's place, and by then all of it is on the disk. So each of its frames says
// of everything before it that it is durable, and promises nothing: a View of
// the new file shows all of it, whether or not the mark has been raised.
type generation struct {
	file   vfs.File // nil: nothing is written, only counted
	path   string   // for messages
	header Header
	chain  chain
	last   int64 // where the last frame begins
	frames uint64
	txs    uint64 // of which transactions
	index  index
	buf    []byte // frames that are not written yet; they end at chain.pos
	done   int64  // written up to here
	synced int64  // and on the disk up to here

	// ahead is a sync that runs beside the copying, one at a time; nil: none
	// may, as in simulations.
	ahead   chan error
	running bool

	room func(n int64) error // says whether n more bytes may be written; nil: yes
}

const (
	generationBuffer = 1 << 20
	// generationSync is how much is written between two syncs. The disk's queue
	// stays short, so that the commits of others do not wait for our bytes.
	generationSync = 16 << 20
)

// nextHeader is the header of a file that is packed from one with header h.
func nextHeader(h *Header, horizon storage.TID, high storage.OID, now int64) Header {
	n := Header{Format: formatNumber, ID: h.ID, Generation: h.Generation + 1, Horizon: horizon, HighOID: high, Synced: headerSize, Created: now}
	var r [8]byte
	rand.Read(r[:])
	n.Salt = binary.LittleEndian.Uint64(r[:])
	return n
}

func (g *generation) begin(h Header) {
	g.header = h
	g.chain = h.chain()
	g.done, g.synced = headerSize, 0
}

// add gives a frame its place behind the others. A transaction has tid and time
// of its own; of others only the time counts.
func (g *generation) add(d *draft, tid storage.TID, time int64) error {
	c := &g.chain
	if d.header.kind != kindTransaction {
		tid = c.tid
	}
	p := place{pos: c.pos, tid: tid, time: max(c.time, time), salt: g.header.Salt, durable: c.pos, prev: c.sum}
	if g.file != nil {
		d.seal(p, g.index.get)
	} else {
		h := &d.header
		h.pos, h.tid, h.time = p.pos, p.tid, p.time
	}
	h := &d.header
	for i := range d.records {
		r := &d.records[i]
		c.top = max(c.top, r.oid)
		g.index.set(r.oid, storage.Position(h.pos+r.off))
	}
	if h.leaseFirst != 0 {
		c.high = h.leaseFirst + storage.OID(h.leaseCount)
	}
	if h.kind == kindClass {
		c.cls++
	}
	g.last = c.pos
	g.frames++
	if h.kind == kindTransaction {
		g.txs++
	}
	c.pos, c.sum, c.tid, c.time = h.end(), h.sum, h.tid, h.time
	if g.file == nil {
		return nil
	}
	if len(g.buf) == 0 && len(d.buf) >= generationBuffer/8 { // saves a copy
		g.buf, d.buf = d.buf, g.buf
		err := g.flush()
		g.buf, d.buf = d.buf, g.buf[:0]
		return err
	}
	g.buf = append(g.buf, d.buf...)
	if len(g.buf) < generationBuffer {
		return nil
	}
	return g.flush()
}

// flush writes what was collected, and syncs now and then.
func (g *generation) flush() error {
	if g.file == nil || len(g.buf) == 0 {
		return nil
	}
	if n, err := g.file.Append(g.buf, g.done); err != nil {
		return fmt.Errorf("durus: pack: write %s: %w (%d of %d bytes were)", g.path, err, n, len(g.buf))
	}
	g.done += int64(len(g.buf))
	g.buf = g.buf[:0]
	if g.done-g.synced < generationSync {
		return nil
	}
	if g.room != nil {
		if err := g.room(generationSync); err != nil {
			return err
		}
	}
	return g.syncAhead()
}

// syncAhead begins to bring to the disk what is written, after the sync before
// it has ended.
func (g *generation) syncAhead() error {
	if g.ahead == nil {
		return g.sync()
	}
	if err := g.await(); err != nil {
		return err
	}
	g.synced, g.running = g.done, true // once await has returned nil
	go func() { g.ahead <- g.file.Sync() }()
	return nil
}

// await waits for the sync that runs.
func (g *generation) await() error {
	if !g.running {
		return nil
	}
	g.running = false
	if err := <-g.ahead; err != nil {
		return fmt.Errorf("durus: pack: sync %s: %w", g.path, err)
	}
	return nil
}

// sync brings all of it to the disk. Its file is this process's alone and was
// never synced in vain: the first failure ends the pack.
func (g *generation) sync() error {
	if g.file == nil {
		return nil
	}
	if err := g.flush(); err != nil {
		return err
	}
	if err := g.await(); err != nil {
		return err
	}
	if g.synced == g.done {
		return nil
	}
	end := g.done
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("durus: pack: sync %s: %w", g.path, err)
	}
	g.synced = end
	return nil
}

// mark is what the durable mark has to say of it.
func (g *generation) mark() mark {
	return mark{salt: g.header.Salt, start: g.last, end: g.chain.pos, tid: g.chain.tid, sum: g.chain.sum}
}
