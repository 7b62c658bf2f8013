package fault

import (
	"errors"
	"io"
	"slices"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/wrap"
)

const sectorSize = 512

// with runs next with other bytes to be written.
func with(c *wrap.Call, p []byte, next func()) {
	old := c.Data
	c.Data = p
	next()
	c.Data = old
}

// short writes the first bytes. What fails before the effect's own error is
// reported instead of it.
func (f *FS) short(c *wrap.Call, e Effect, next func()) {
	if c.Op == wrap.UpdateMark {
		shortMark(c, e, next)
	} else {
		with(c, c.Data[:min(max(e.n, 0), int64(len(c.Data)))], next)
	}
	if c.Err == nil {
		c.Err = c.Failure("fault", e.cause())
	}
}

// shortMark writes the first bytes of the record over the old one.
func shortMark(c *wrap.Call, e Effect, next func()) {
	update := c.Update
	c.Update = func(p *[vfs.MarkSize]byte, ok bool) bool {
		old := *p
		write := update(p, ok)
		n := min(max(e.n, 0), vfs.MarkSize)
		copy(p[n:], old[n:])
		return write && n > 0
	}
	next()
	c.Update = update
}

// torn writes some of the sectors, in one operation: the others get what they
// have already.
func (f *FS) torn(c *wrap.Call, r *rule, next func()) {
	from := c.Off % sectorSize // of the first sector, what the write does not touch
	if c.Off < 0 {
		from = 0
	}
	touched := (from + int64(len(c.Data)) + sectorSize - 1) / sectorSize
	chosen := f.choose(r, int(touched))
	if err := f.tear(c, from, chosen, next); err == nil {
		c.Err = c.Failure("fault", r.Effect.cause())
	}
}

// choose says of each sector whether it is written.
func (f *FS) choose(r *rule, touched int) []bool {
	chosen := make([]bool, touched)
	for _, i := range r.Effect.sectors {
		if i >= 0 && i < touched {
			chosen[i] = true
		}
	}
	if len(r.Effect.sectors) > 0 || touched == 0 {
		return chosen
	}
	for i := range chosen {
		chosen[i] = f.random(r, 2) == 1
	}
	if !slices.Contains(chosen, false) {
		chosen[f.random(r, int64(touched))] = false
	}
	return chosen
}

// tear writes the chosen sectors. The write ends with the last of them.
func (f *FS) tear(c *wrap.Call, from int64, chosen []bool, next func()) error {
	written, end := 0, 0 // contiguous from the beginning; in all
	bounds := func(i int) (int, int) {
		return max(0, int(int64(i)*sectorSize-from)), min(len(c.Data), int(int64(i+1)*sectorSize-from))
	}
	for i, yes := range chosen {
		if !yes {
			continue
		}
		begin, stop := bounds(i)
		if begin == written {
			written = stop
		}
		end = stop
	}
	if end == 0 {
		return nil
	}
	p := make([]byte, end)
	if c.Op == wrap.Rewrite && written < end {
		if _, err := c.File.ReadAt(p, c.Off); err != nil && !errors.Is(err, io.EOF) {
			c.Err = err
			return err
		}
	}
	for i, yes := range chosen {
		if begin, stop := bounds(i); yes {
			copy(p[begin:stop], c.Data[begin:stop])
		}
	}
	with(c, p, next)
	c.N = min(c.N, written)
	return c.Err
}

// flip inverts a bit of what is written, or was read.
func (f *FS) flip(c *wrap.Call, r *rule, next func()) {
	switch c.Op {
	case wrap.Read, wrap.ReadMark:
		if next(); !c.Again() {
			f.flipIn(c.Data[:c.N], r)
		}
	case wrap.UpdateMark:
		update := c.Update
		c.Update = func(p *[vfs.MarkSize]byte, ok bool) bool {
			write := update(p, ok)
			if write {
				f.flipIn(p[:], r)
			}
			return write
		}
		next()
		c.Update = update
	default:
		p := slices.Clone(c.Data) // the caller's bytes are his
		f.flipIn(p, r)
		with(c, p, next)
	}
}

func (f *FS) flipIn(p []byte, r *rule) {
	bits := int64(len(p)) * 8
	if bits == 0 {
		return
	}
	bit := r.Effect.n % bits
	if r.Effect.n < 0 {
		bit = f.random(r, bits)
	}
	p[bit/8] ^= 1 << (bit % 8)
}
