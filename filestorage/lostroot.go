package filestorage

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/durusdb/durus/storage"
)

// The root directory is the object from which all others are reached. Where no
// revision of it is left, a salvage makes one that names the objects which
// nothing refers to, so that a program can find them and a pack keeps them.
const (
	rootOID   storage.OID = 1
	rootClass             = "durus.Roots"

	// maxNamed is how many objects it names: they are in memory as a whole in
	// every program that uses a root.
	maxNamed = 1<<16 - 1
)

// unreferenced returns the objects of the new file, of which r knows where they
// will be, that no newest state of another object refers to.
func (r *rebuild) unreferenced(h Header) ([]storage.OID, error) {
	again := rebuild{s: r.s, now: r.now, report: new(SalvageReport), final: &r.out.index, linked: make(oidSet)}
	again.out.begin(h)
	if err := again.run(); err != nil {
		return nil, err
	}
	var list []storage.OID
	r.out.index.each(func(oid storage.OID, _ storage.Position) bool {
		if !again.linked.has(oid) {
			list = append(list, oid)
		}
		return true
	})
	slices.Sort(list)
	return list, nil
}

// makeRoot writes a root directory.
func (r *rebuild) makeRoot() error {
	list := r.roots[:min(len(r.roots), maxNamed)]
	r.report.Root = RootMade
	r.damaged.remove(rootOID) // it has no older state, but a new one
	r.report.Named, r.report.Unnamed = uint64(len(list)), uint64(len(r.roots)-len(list))
	class, err := r.rootsClass()
	if err != nil {
		return err
	}
	if err := r.tmp.encode([]storage.Record{directoryOf(list, class)}, &storage.Meta{Description: "salvage: a root directory, in place of the one that was lost"}); err != nil {
		return err
	}
	now := r.now.UnixMicro()
	return r.out.add(&r.tmp, max(r.out.chain.tid+1, storage.TID(now)), now)
}

// directoryOf is a root directory with the names lost1, lost2, ... Its payload is
// a msgpack map, whose names are in the order of their bytes.
func directoryOf(list []storage.OID, class storage.ClassID) storage.Record {
	type entry struct {
		name string
		oid  storage.OID
	}
	entries := make([]entry, len(list))
	for i, oid := range list {
		entries[i] = entry{fmt.Sprintf("lost%d", i+1), oid}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	rec := storage.Record{OID: rootOID, Class: class, Codec: storage.CodecMsgpack}
	be := binary.BigEndian
	if n := len(list); n < 16 {
		rec.Payload = append(rec.Payload, 0x80|byte(n))
	} else {
		rec.Payload = be.AppendUint16(append(rec.Payload, 0xde), uint16(n))
	}
	for _, e := range entries {
		rec.Strong = append(rec.Strong, e.oid)
		rec.Payload = append(append(rec.Payload, 0xa0|byte(len(e.name))), e.name...)
		if e.oid < 1<<32 {
			rec.Payload = be.AppendUint32(append(rec.Payload, 0xd6, 1), uint32(e.oid))
		} else {
			rec.Payload = be.AppendUint64(append(rec.Payload, 0xd7, 1), uint64(e.oid))
		}
	}
	return rec
}

// finish ends the new file, and the report.
func (r *rebuild) finish() error {
	if len(r.roots) > 0 {
		if err := r.makeRoot(); err != nil {
			return err
		}
	}
	if err := r.out.flush(); err != nil {
		return err
	}
	p := r.report
	p.Written, p.Objects, p.Foreign, p.HeaderLost = r.out.chain.pos, r.out.index.objects, r.s.foreign, !r.s.headerGood
	var words []uint64
	for n := range r.damaged {
		words = append(words, n)
	}
	slices.Sort(words)
	for _, n := range words {
		for i := range uint64(64) {
			oid := storage.OID(n*64 + i)
			switch {
			case !r.damaged.has(oid):
			case r.out.index.get(oid) != 0:
				note(&p.Older, oid)
				p.OlderTotal++
			default:
				note(&p.Lost, oid)
				p.LostTotal++
			}
		}
	}
	return nil
}
