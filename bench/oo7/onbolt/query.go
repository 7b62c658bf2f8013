package onbolt

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/bbolt"

	"github.com/durusdb/durus/bench/oo7"
)

// all decodes the objects of a bucket, in the order of their keys.
func all[T any](b *bbolt.Bucket, f func(*T) error) error {
	return b.ForEach(func(_, data []byte) error {
		v := new(T)
		if err := msgpack.Unmarshal(data, v); err != nil {
			return err
		}
		return f(v)
	})
}

func (t *tx) LookUp(parts []int) (int, error) {
	for _, id := range parts {
		p, err := get[atomicPart](t.parts, key(id))
		if err != nil {
			return 0, err
		}
		oo7.Visit(p.ID)
	}
	return len(parts), nil
}

func (t *tx) Dates(lower, upper int) (n int, err error) {
	c := t.dates.Cursor()
	for k, _ := c.Seek(key(lower)); k != nil && number(k, 0) <= upper; k, _ = c.Next() {
		p, err := get[atomicPart](t.parts, k[8:])
		if err != nil {
			return n, err
		}
		oo7.Visit(p.ID)
		n++
	}
	return n, nil
}

func (t *tx) Titles(titles []string) (n int, err error) {
	for _, title := range titles {
		id := t.titles.Get([]byte(title))
		if id == nil {
			return n, fmt.Errorf("oo7: there is no document %q", title)
		}
		d, err := get[document](t.documents, id)
		if err != nil {
			return n, err
		}
		c, err := get[compositePart](t.composites, key(d.ID))
		if err != nil {
			return n, err
		}
		for _, base := range c.UsedInPriv {
			b, err := get[baseAssembly](t.bases, key(base))
			if err != nil {
				return n, err
			}
			oo7.Visit(b.ID)
			n++
		}
	}
	return n, nil
}

func (t *tx) NewerParts() (n int, err error) {
	err = all(t.bases, func(b *baseAssembly) error {
		for _, id := range b.ComponentsPriv {
			c, err := get[compositePart](t.composites, key(id))
			if err != nil {
				return err
			}
			if c.BuildDate > b.BuildDate {
				oo7.Visit(b.ID)
				n++
			}
		}
		return nil
	})
	return n, err
}

func (t *tx) NewerPartsBelow() (n int, err error) {
	err = all(t.modules, func(m *module) error {
		_, err := t.newest(m.DesignRoot, &n)
		return err
	})
	return n, err
}

// newest is the build date of the newest composite part below an assembly.
func (t *tx) newest(assembly int, n *int) (int, error) {
	a, err := get[complexAssembly](t.complexes, key(assembly))
	if err != nil {
		return 0, err
	}
	newest := 0
	for _, id := range a.Complex {
		below, err := t.newest(id, n)
		if err != nil {
			return 0, err
		}
		newest = max(newest, below)
	}
	for _, id := range a.Base {
		b, err := get[baseAssembly](t.bases, key(id))
		if err != nil {
			return 0, err
		}
		below := 0
		for _, comp := range b.ComponentsPriv {
			c, err := get[compositePart](t.composites, key(comp))
			if err != nil {
				return 0, err
			}
			below = max(below, c.BuildDate)
		}
		older(b.Design, below, n)
		newest = max(newest, below)
	}
	older(a.Design, newest, n)
	return newest, nil
}

func older(d Design, newest int, n *int) {
	if newest > d.BuildDate {
		oo7.Visit(d.ID)
		*n++
	}
}

func (t *tx) ScanParts() (n int, err error) {
	err = all(t.parts, func(p *atomicPart) error {
		oo7.Visit(p.ID)
		n++
		return nil
	})
	return n, err
}

func (t *tx) JoinDocuments() (n int, err error) {
	err = all(t.parts, func(p *atomicPart) error {
		k := key(p.DocID)
		if t.documents.Get(k) == nil {
			return nil
		}
		d, err := get[document](t.documents, k)
		if err == nil {
			oo7.Visit(d.ID)
			n++
		}
		return err
	})
	return n, err
}

func (t *tx) Census() (c oo7.Census, err error) {
	if err := all(t.modules, func(m *module) error { return t.countAssemblies(m.DesignRoot, &c) }); err != nil {
		return c, err
	}
	if err := all(t.composites, func(v *compositePart) error {
		c.Comps++
		for _, b := range v.UsedInPriv {
			c.PrivateBack.Add(b, v.ID)
		}
		for _, b := range v.UsedInShar {
			c.SharedBack.Add(b, v.ID)
		}
		for _, id := range v.Parts {
			p, err := get[atomicPart](t.parts, key(id))
			if err != nil {
				return err
			}
			c.Part(p.ID, p.X, p.Y, p.BuildDate)
			for _, from := range p.From {
				c.ConnsBack.Add(from, p.ID)
			}
			if err := t.leaving(id, func(_ []byte, conn *connection) { c.Conns.Add(conn.From, conn.To) }); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return c, err
	}
	if err := t.dates.ForEach(func(k, _ []byte) error {
		c.DateIndex.Add(number(k, 0), number(k, 1))
		return nil
	}); err != nil {
		return c, err
	}
	return c, t.titles.ForEach(func(_, id []byte) error {
		d, err := get[document](t.documents, id)
		if err == nil {
			c.Documents++
			c.Text.Add(d.ID, len(d.Text))
		}
		return err
	})
}

func (t *tx) countAssemblies(id int, c *oo7.Census) error {
	a, err := get[complexAssembly](t.complexes, key(id))
	if err != nil {
		return err
	}
	c.Complex++
	for _, id := range a.Complex {
		if err := t.countAssemblies(id, c); err != nil {
			return err
		}
	}
	for _, id := range a.Base {
		b, err := get[baseAssembly](t.bases, key(id))
		if err != nil {
			return err
		}
		c.Bases++
		for _, comp := range b.ComponentsPriv {
			c.Private.Add(b.ID, comp)
		}
		for _, comp := range b.ComponentsShar {
			c.Shared.Add(b.ID, comp)
		}
	}
	return nil
}
