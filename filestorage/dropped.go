package filestorage

import (
	"cmp"
	"context"
	"slices"

	"github.com/durusdb/durus/storage"
)

// droppedChunk is how many objects Dropped looks at in the order of the file.
const droppedChunk = 1 << 16

// Dropped calls f for every object that the old file holds and the new one does
// not. It reads the header of each, many at a time, in the order of the file.
func (p *Packing) Dropped(ctx context.Context, f func(class storage.ClassID, size int64)) (err error) {
	l := p.l
	if p.Objects() == l.Objects() { // what is in the new file is in the old one
		return nil
	}
	src := newSource(p.s.fs, l, l.end())
	defer src.close()
	defer src.guard(src.enter(), &err)
	type gone struct {
		oid storage.OID
		pos storage.Position
	}
	var chunk []gone
	look := func() error {
		slices.SortFunc(chunk, func(a, b gone) int { return cmp.Compare(a.pos, b.pos) })
		for _, g := range chunk {
			h, err := src.header(g.oid, g.pos)
			if err != nil {
				return err
			}
			f(h.class, h.length())
		}
		chunk = chunk[:0]
		return ctx.Err()
	}
	l.index.each(func(oid storage.OID, pos storage.Position) bool {
		if pos < 0 || p.out.index.get(oid) != 0 || int64(pos) >= src.end {
			return true
		}
		if chunk = append(chunk, gone{oid, pos}); len(chunk) == droppedChunk {
			err = look()
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return look()
}

// ClassName is the name of a class of the file that is packed.
func (p *Packing) ClassName(id storage.ClassID) string {
	name, _ := p.l.classes.name(id)
	return name
}

// High is the first object id that was not given out when the packing began.
func (p *Packing) High() storage.OID { return p.out.header.HighOID }
