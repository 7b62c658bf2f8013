package fusedisk

// Kind says what an operation did.
type Kind uint8

const (
	// Write puts bytes into the cache of the disk, and sooner or later, in
	// any order with its neighbours, onto the disk.
	Write Kind = iota
	// Flush makes all writes before it durable.
	Flush
)

// Op is one operation that a disk has done. Data must not be changed.
type Op struct {
	Kind Kind
	Off  int64  // of a Write, in bytes
	Data []byte // of a Write
}

// Log is what a disk has done since it held Base, in order. A moment of its
// life is a number n: the first n operations are done. What a power cut at that
// moment may leave is every write up to the last flush among them, and any part
// of the writes behind it.
type Log struct {
	Base Image
	Ops  []Op
}

// Flushes returns the moments at which a flush had just been done, in
// ascending order.
func (l Log) Flushes() []int {
	var moments []int
	for i, op := range l.Ops {
		if op.Kind == Flush {
			moments = append(moments, i+1)
		}
	}
	return moments
}

// Player plays a log from its beginning and makes images of its moments. It
// belongs to one goroutine.
type Player struct {
	log     Log
	at      int
	stable  Image // what is durable at this moment
	pending []Op  // the writes that are not
}

// Play returns a player that stands before the first operation.
func (l Log) Play() *Player { return &Player{log: l, stable: l.Base.Clone()} }

// Advance goes on to moment n, which must not lie before the present one.
func (p *Player) Advance(n int) {
	for _, op := range p.log.Ops[p.at:n] {
		switch op.Kind {
		case Write:
			p.pending = append(p.pending, op)
		case Flush:
			for _, w := range p.pending {
				p.stable.write(w.Data, w.Off)
			}
			p.pending = p.pending[:0]
		}
	}
	p.at = n
}

// Whole returns the image with every write, durable or not: what a reader of
// the disk sees at this moment.
func (p *Player) Whole() Image { return p.Cut(0, func() bool { return true }) }

// Cut returns one of the images that a power cut at this moment may leave: all
// that is durable, and those pieces of the other writes for which keep, asked
// in order, says so. Writes are cut at multiples of grain, which must be a
// multiple of Sector; grain 0 keeps or drops whole writes.
func (p *Player) Cut(grain int64, keep func() bool) Image {
	im := p.stable.Clone()
	for _, w := range p.pending {
		data, off := w.Data, w.Off
		for len(data) > 0 {
			n := int64(len(data))
			if grain > 0 {
				n = min(n, grain-off%grain)
			}
			if keep() {
				im.write(data[:n], off)
			}
			data, off = data[n:], off+n
		}
	}
	return im
}
