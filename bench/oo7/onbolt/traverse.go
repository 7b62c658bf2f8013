package onbolt

import (
	"bytes"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/bench/oo7"
)

// leaving calls f for each connection that leaves a part.
func (t *tx) leaving(part int, f func(k []byte, conn *connection)) error {
	prefix := key(part)
	cursor := t.conns.Cursor()
	var conn connection
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		if err := msgpack.Unmarshal(v, &conn); err != nil {
			return err
		}
		f(k, &conn)
	}
	return nil
}

// eachComposite calls f for each private composite part of each base assembly
// below an assembly.
func (t *tx) eachComposite(assembly int, f func(*compositePart) error) error {
	a, err := get[complexAssembly](t.complexes, key(assembly))
	if err != nil {
		return err
	}
	for _, id := range a.Complex {
		if err := t.eachComposite(id, f); err != nil {
			return err
		}
	}
	for _, id := range a.Base {
		b, err := get[baseAssembly](t.bases, key(id))
		if err != nil {
			return err
		}
		for _, comp := range b.ComponentsPriv {
			c, err := get[compositePart](t.composites, key(comp))
			if err == nil {
				err = f(c)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) eachOfModule(id int, f func(*compositePart) error) error {
	m, err := get[module](t.modules, key(id))
	if err != nil {
		return err
	}
	return t.eachComposite(m.DesignRoot, f)
}

// walk is one Traversal.
type walk struct {
	*tx
	do    oo7.Traversal
	count int
	todo  []int // parts that a connection leads to, the next one last
}

func (t *tx) Traverse(module int, tr oo7.Traversal) (int, error) {
	w := &walk{tx: t, do: tr}
	err := t.eachOfModule(module, func(c *compositePart) error {
		if tr.Sparse {
			p, err := get[atomicPart](t.parts, key(c.RootPart))
			if err == nil {
				w.visit(p.ID)
			}
			return err
		}
		if tr.Update == oo7.UpdateRoot {
			if err := w.update(c.RootPart); err != nil {
				return err
			}
		}
		t.seen.Clear()
		return w.graph(c.RootPart)
	})
	return w.count, err
}

// graph visits all parts that are reached from one.
func (w *walk) graph(root int) error {
	w.todo = append(w.todo[:0], root)
	for len(w.todo) > 0 {
		id := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if !w.seen.Add(id) {
			continue
		}
		if w.do.Update == oo7.UpdateAll {
			if err := w.update(id); err != nil {
				return err
			}
		}
		p, err := get[atomicPart](w.parts, key(id))
		if err != nil {
			return err
		}
		w.visit(p.ID)
		if err := w.leaving(id, func(_ []byte, c *connection) { w.todo = append(w.todo, c.To) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) visit(id int) {
	if w.do.Think > 0 {
		oo7.Think(id, w.do.Think)
	} else {
		oo7.Visit(id)
	}
	if w.do.Update == oo7.UpdateNone {
		w.count++
	}
}

func (w *walk) update(id int) error {
	for range w.do.Times {
		w.count++
		p, err := get[atomicPart](w.parts, key(id))
		if err != nil {
			return err
		}
		if w.do.Dates {
			if err := w.dates.Delete(key(p.BuildDate, id)); err != nil {
				return err
			}
			p.BuildDate = oo7.Toggle(p.BuildDate)
			if err := w.dates.Put(key(p.BuildDate, id), nil); err != nil {
				return err
			}
		} else {
			p.X, p.Y = p.Y, p.X
		}
		if err := put(w.parts, key(id), p); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) CountInDocuments(module int, b byte) (n int, err error) {
	err = t.eachOfModule(module, func(c *compositePart) error {
		d, err := get[document](t.documents, key(c.ID))
		if err == nil {
			n += oo7.CountByte(d.Text, b)
		}
		return err
	})
	return n, err
}

func (t *tx) ReplaceInDocuments(module int, old, new string) (n int, err error) {
	err = t.eachOfModule(module, func(c *compositePart) error {
		d, err := get[document](t.documents, key(c.ID))
		if err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(d.Text, old)
		if !ok {
			return nil
		}
		n++
		d.Text = new + rest
		return put(t.documents, key(c.ID), d)
	})
	return n, err
}

func (t *tx) Upward(part int) (int, error) {
	p, err := get[atomicPart](t.parts, key(part))
	if err != nil {
		return 0, err
	}
	c, err := get[compositePart](t.composites, key(p.PartOf))
	if err != nil {
		return 0, err
	}
	base, above := make(map[int]bool), make(map[int]bool)
	for _, id := range c.UsedInPriv {
		if base[id] {
			continue
		}
		base[id] = true
		b, err := get[baseAssembly](t.bases, key(id))
		if err != nil {
			return 0, err
		}
		oo7.Visit(b.ID)
		for up := b.Super; up != 0 && !above[up]; {
			above[up] = true
			a, err := get[complexAssembly](t.complexes, key(up))
			if err != nil {
				return 0, err
			}
			oo7.Visit(a.ID)
			up = a.Super
		}
	}
	return len(base) + len(above), nil
}

func (t *tx) CountInManual(module int, b byte) (int, error) {
	m, err := get[manual](t.manuals, key(module))
	if err != nil {
		return 0, err
	}
	return oo7.CountByte(m.Text, b), nil
}

func (t *tx) ManualEnds(module int) (int, error) {
	m, err := get[manual](t.manuals, key(module))
	if err != nil {
		return 0, err
	}
	return oo7.SameEnds(m.Text), nil
}
