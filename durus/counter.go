package durus

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// Counter is a number that many transactions add to at the same time without
// conflicts: each says by how much, and the commits add up. A transaction that
// has read the value conflicts with those who change it.
//
// It is a handle, 8 bytes, and lives in a field like a BTree; see there. The zero
// handle reads as 0.
type Counter struct{ raw codec.Strong }

// NewCounter makes a new counter, which is 0. It is stored at commit if something
// that is stored holds it. Errors: ErrReadOnly, ErrTxDone; they stick.
func NewCounter(s Session) (Counter, error) {
	c := s.core()
	if err := c.mayWrite(); err != nil {
		return Counter{}, c.stick(err)
	}
	var n Counter
	oid, err := n.create(c)
	if err != nil {
		return Counter{}, c.stick(err)
	}
	return Counter{raw: c.reference(oid)}, nil
}

// Add adds delta, which may be negative. A counter that would leave the range of
// an int64 is ErrTooLarge; if that shows only at commit, because others have
// added too, the commit is a conflict. Errors stick.
func (n Counter) Add(s Session, delta int64) error {
	c := s.core()
	oid, err := c.openToWrite(n.raw, "Counter")
	if err != nil {
		return c.stick(err)
	}
	p, err := c.counter(oid)
	if err == nil {
		err = p.add(delta)
	}
	return c.stick(err)
}

// Value returns the value, as this transaction has left it.
func (n Counter) Value(s Session) (int64, error) {
	c := s.core()
	oid, ok, err := c.openContainer(n.raw)
	if err != nil || !ok {
		return 0, err
	}
	if !c.writable {
		p := counterPending{container: container{oid: oid, class: collection.ClassCounter}, c: c}
		v, err := p.value()
		if c.over.Load() {
			return 0, ErrTxDone
		}
		return v, err
	}
	p, err := c.counter(oid)
	if err != nil {
		return 0, err
	}
	return p.read()
}

// OID returns the id of the counter's object, 0 for the zero handle.
func (n Counter) OID() OID { return OID(n.raw & oidMask) }

// EncodeMsgpack implements msgpack.CustomEncoder.
func (n Counter) EncodeMsgpack(e *msgpack.Encoder) error {
	return codec.EncodeRef(e, uint64(n.raw), false)
}

// DecodeMsgpack implements msgpack.CustomDecoder.
func (n *Counter) DecodeMsgpack(d *msgpack.Decoder) error { return decodeRef(&n.raw, d) }

func (n *Counter) at() *codec.Strong { return &n.raw }
func (n *Counter) problem(func(reflect.Type) string) string {
	return ""
}
func (n *Counter) create(c *core) (OID, error) {
	oid, err := c.db.st.NewOID(c.ctx)
	if err == nil {
		c.addContainer(&counterPending{container: container{oid: oid, class: collection.ClassCounter, fresh: true}, c: c})
	}
	return oid, err
}

func sum64(a, b int64) (sum int64, ok bool) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, false
	}
	return a + b, true
}

// counterPending is what a session has read of a counter and will add to it.
type counterPending struct {
	container
	c     *core
	delta int64
	reads []storage.Snapshot
}

// counter returns what a writable session knows of a counter.
func (c *core) counter(oid OID) (*counterPending, error) {
	p := c.containers[oid]
	if p == nil {
		p = &counterPending{container: container{oid: oid, class: collection.ClassCounter}, c: c}
		c.addContainer(p)
	}
	n, ok := p.(*counterPending)
	if !ok {
		return nil, c.wrongContainer(oid, p.common().class, collection.ClassCounter)
	}
	return n, nil
}

// read is the value as the session sees it, which enters the read set.
func (p *counterPending) read() (int64, error) {
	if p.fresh {
		return p.delta, nil
	}
	v, err := p.value()
	if err != nil {
		return 0, err
	}
	snap := p.c.observe()
	if k := len(p.reads); k == 0 || p.reads[k-1] != snap {
		p.reads = append(p.reads, snap)
	}
	sum, ok := sum64(v, p.delta)
	if !ok {
		return 0, p.c.stick(p.overflow())
	}
	return sum, nil
}

func (p *counterPending) add(delta int64) error {
	var stored int64
	if !p.fresh {
		// It is no read: others may add to it.
		var err error
		if stored, err = p.value(); err != nil {
			return err
		}
	}
	sum, ok := sum64(p.delta, delta)
	if ok {
		_, ok = sum64(stored, sum)
	}
	if !ok {
		return p.overflow()
	}
	p.delta = sum
	return nil
}

func (p *counterPending) overflow() error {
	return fmt.Errorf("%w: counter %s in %s would leave the range of an int64: add less, or count in two of them", ErrTooLarge, p.oid, p.c.db.path)
}

// value is that of the session's snapshot.
func (p *counterPending) value() (int64, error) {
	c := p.c
	pos, err := c.find(p.oid)
	if err != nil {
		return 0, err
	}
	c.visit(p.oid, &p.container)
	if e := c.gen.cache.get(pos); e != nil {
		if n, ok := e.value.(counterNode); ok {
			return int64(n), nil
		}
	}
	rec, err := c.read(p.oid, pos)
	if err != nil {
		return 0, err
	}
	if err := c.checkContainer(p.oid, p.oid, rec, collection.ClassCounter); err != nil {
		return 0, err
	}
	return c.count(c.snap, c.gen, p.oid, pos)
}

func (p *counterPending) changed() bool { return p.delta != 0 }

func (p *counterPending) work() int { return 1 }

func (p *counterPending) savepoint() (undo func()) {
	delta := p.delta
	return func() { p.delta = delta }
}

func (p *counterPending) forget() { p.delta = 0 }

func (p *counterPending) pack(*core, *codec.Writer) error { return nil }

func (p *counterPending) build(b *collection.Builder) error {
	return collection.AddCounter(b, uint64(p.oid), p.delta, p.fresh)
}

func (p *counterPending) check(c *core, now *nodeStore, reads bool) (reason string, at OID, err error) {
	if p.fresh {
		return "", 0, nil
	}
	value := func(s *nodeStore) (int64, error) {
		pos, err := s.Find(uint64(p.oid))
		if err != nil {
			return 0, err
		}
		return s.Count(uint64(p.oid), pos)
	}
	is, err := value(now)
	if errors.Is(err, storage.ErrNotFound) {
		return "it is gone", p.oid, nil
	}
	if err != nil {
		return "", 0, err
	}
	if _, ok := sum64(is, p.delta); !ok {
		return "others have added to it, and the sum is too large", p.oid, nil
	}
	if !reads {
		return "", 0, nil
	}
	for _, snap := range p.reads {
		was, err := value(c.store(snap, nil))
		if err != nil {
			return "", 0, err
		}
		if was != is {
			return "its value was read", p.oid, nil
		}
	}
	return "", 0, nil
}
