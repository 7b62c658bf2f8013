package filestorage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/storage"
)

// floor is the part of an index that lies in a checkpoint file: mapped, so that
// all processes share it, and so that opening costs nothing. What the tail of
// the file changes lies over it, in memory.
//
// A page is believed when its checksum is good, which is looked at once, when it
// is touched first. One that is bad, or that somebody has cut off (touching
// it would end the process, but for SetPanicOnFault), makes all of the
// checkpoint worthless: then the record file is read, as if there were none.
type floor struct {
	pages []byte // of pageSlots positions each
	sums  []byte // a checksum for each page, 4 bytes
	salt  uint64
	slots uint64 // objects with ids below this may be in it

	// good has a bit for each page whose checksum was found good. A bit that is
	// read too early costs a second look.
	good []atomic.Uint64

	// kept are copies of the first keptPages pages that were asked for: of a
	// small database all. Looking into one needs no guard. One that is seen too
	// late costs a look at the mapped page.
	kept []atomic.Pointer[[pageSlots]storage.Position]
	room atomic.Int32 // for so many more

	// rebuilt, once it is set, is used instead of pages.
	rebuilt atomic.Pointer[index]
	rebuild func() (*index, error)
	logger  *slog.Logger
	path    string     // of the database, for messages
	mu      sync.Mutex // one goroutine rebuilds, the others wait; guards err
	err     error      // of the last attempt
}

const (
	pageSlots = 512 // positions of 8 bytes
	pageSize  = 8 * pageSlots
	keptPages = 512 // 2 MiB
)

// unknown is what an index answers when neither the checkpoint nor the record
// file can be read. It is no position.
const unknown storage.Position = -1

// get returns where the record of oid begins, 0 if the checkpoint has none,
// unknown when it cannot be told.
func (f *floor) get(oid storage.OID) storage.Position {
	if uint64(oid) >= f.slots {
		return 0
	}
	if x := f.rebuilt.Load(); x != nil {
		return x.get(oid)
	}
	if page := f.kept[oid/pageSlots].Load(); page != nil {
		return page[oid%pageSlots]
	}
	if p, ok := f.look(uint64(oid)); ok {
		return p
	}
	return f.repaired(oid)
}

// look is the one place that touches the mapped checkpoint.
func (f *floor) look(i uint64) (p storage.Position, ok bool) {
	defer func(was bool) {
		debug.SetPanicOnFault(was)
		if cutOff(recover()) {
			ok = false
		}
	}(debug.SetPanicOnFault(true))
	n := i / pageSlots
	if f.good[n/64].Load()>>(n%64)&1 == 0 {
		page := f.pages[n*pageSize:][:pageSize]
		if pageSum(page, f.salt, n) != binary.LittleEndian.Uint32(f.sums[4*n:]) {
			return 0, false
		}
		f.good[n/64].Or(1 << (n % 64))
	}
	if f.room.Load() > 0 && f.room.Add(-1) >= 0 {
		f.keep(n)
	}
	p = storage.Position(binary.LittleEndian.Uint64(f.pages[8*i:]))
	return p, p >= 0
}

// keep copies a page, so that it is not looked at under a guard again, unless it
// has changed since its checksum was good. Called by look.
func (f *floor) keep(n uint64) {
	var raw [pageSize]byte
	copy(raw[:], f.pages[n*pageSize:])
	if pageSum(raw[:], f.salt, n) != binary.LittleEndian.Uint32(f.sums[4*n:]) {
		return
	}
	page := new([pageSlots]storage.Position)
	for i := range page {
		if page[i] = storage.Position(binary.LittleEndian.Uint64(raw[8*i:])); page[i] < 0 {
			return
		}
	}
	f.kept[n].Store(page)
}

// pageSum is the checksum of a page, which belongs to one place of one file.
func pageSum(page []byte, salt, n uint64) uint32 {
	return seal(crc32.Checksum(page, castagnoli), salt, int64(n))
}

// repaired reads the record file and answers from what it says.
func (f *floor) repaired(oid storage.OID) storage.Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rebuilt.Load() == nil {
		f.logger.Warn("durus: the index is damaged", "path", f.path)
		x, err := f.rebuild()
		if f.err = err; err != nil {
			return unknown
		}
		f.rebuilt.Store(x)
	}
	return f.rebuilt.Load().get(oid)
}

// failure says why the answer is unknown.
func (f *floor) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Errorf("durus: neither the index checkpoint nor the file can be read: %w", f.err)
}

// failure is for an answer that was unknown.
func (x *index) failure() error { return x.floor.failure() }
