package ondurus

import (
	"github.com/durusdb/durus/bench/oo7"
	"github.com/durusdb/durus/durus"
)

func (t *tx) LookUp(parts []int) (int, error) {
	for _, id := range parts {
		oo7.Visit(durus.Must(find(t, t.lib.Parts, id).Load(t)).ID)
	}
	return len(parts), nil
}

func (t *tx) Dates(lower, upper int) (n int, err error) {
	for _, p := range durus.Each(t, t.lib.Dates.Range(t, dated{Date: lower}, dated{Date: upper + 1})) {
		oo7.Visit(p.ID)
		n++
	}
	return n, t.Err()
}

func (t *tx) Titles(titles []string) (n int, err error) {
	for _, title := range titles {
		d := durus.Must(find(t, t.lib.Titles, title).Load(t))
		for _, base := range durus.Must(d.Part.Load(t)).UsedInPriv {
			oo7.Visit(durus.Must(base.Load(t)).ID)
			n++
		}
	}
	return n, nil
}

func (t *tx) NewerParts() (n int, err error) {
	for _, mod := range durus.Each(t, t.lib.Modules.All(t)) {
		for _, ref := range mod.AllBases {
			b := durus.Must(ref.Load(t))
			for _, c := range b.ComponentsPriv {
				if durus.Must(c.Load(t)).BuildDate > b.BuildDate {
					oo7.Visit(b.ID)
					n++
				}
			}
		}
	}
	return n, t.Err()
}

func (t *tx) NewerPartsBelow() (n int, err error) {
	for _, mod := range durus.Each(t, t.lib.Modules.All(t)) {
		t.newest(mod.DesignRoot.Any(), &n)
	}
	return n, t.Err()
}

// newest is the build date of the newest composite part below an assembly.
func (t *tx) newest(assembly durus.AnyRef, n *int) int {
	newest := 0
	var own Design
	switch a := durus.Must(assembly.Load(t)).(type) {
	case *ComplexAssembly:
		own = a.Design
		for _, sub := range a.SubAssemblies {
			newest = max(newest, t.newest(sub, n))
		}
	case *BaseAssembly:
		own = a.Design
		for _, c := range a.ComponentsPriv {
			newest = max(newest, durus.Must(c.Load(t)).BuildDate)
		}
	}
	if newest > own.BuildDate {
		oo7.Visit(own.ID)
		*n++
	}
	return newest
}

func (t *tx) ScanParts() (n int, err error) {
	for _, p := range durus.Each(t, t.lib.Parts.All(t)) {
		oo7.Visit(p.ID)
		n++
	}
	return n, t.Err()
}

func (t *tx) JoinDocuments() (n int, err error) {
	for _, p := range durus.Each(t, t.lib.Parts.All(t)) {
		ref, found, err := t.lib.Documents.Get(t, p.DocID)
		if err != nil {
			return n, err
		}
		if found {
			oo7.Visit(durus.Must(ref.Load(t)).ID)
			n++
		}
	}
	return n, t.Err()
}

func (t *tx) Census() (oo7.Census, error) {
	var c oo7.Census
	for _, mod := range durus.Each(t, t.lib.Modules.All(t)) {
		t.countAssemblies(mod.DesignRoot, &c)
	}
	for _, comp := range durus.Each(t, t.lib.Comps.All(t)) {
		c.Comps++
		for _, b := range comp.UsedInPriv {
			c.PrivateBack.Add(durus.Must(b.Load(t)).ID, comp.ID)
		}
		for _, b := range comp.UsedInShar {
			c.SharedBack.Add(durus.Must(b.Load(t)).ID, comp.ID)
		}
		for _, ref := range comp.Parts {
			p := durus.Must(ref.Load(t))
			c.Part(p.ID, p.X, p.Y, p.BuildDate)
			for _, conn := range p.To {
				c.Conns.Add(p.ID, durus.Must(durus.Must(conn.Load(t)).To.Load(t)).ID)
			}
			for _, conn := range p.From {
				c.ConnsBack.Add(durus.Must(durus.Must(conn.Load(t)).From.Load(t)).ID, p.ID)
			}
		}
	}
	for key, p := range durus.Each(t, t.lib.Dates.All(t)) {
		c.DateIndex.Add(key.Date, p.ID)
	}
	for _, d := range durus.Each(t, t.lib.Titles.All(t)) {
		c.Documents++
		c.Text.Add(d.ID, len(d.Text))
	}
	return c, t.Err()
}

func (t *tx) countAssemblies(ref durus.Ref[ComplexAssembly], c *oo7.Census) {
	c.Complex++
	for _, sub := range durus.Must(ref.Load(t)).SubAssemblies {
		switch a := durus.Must(sub.Load(t)).(type) {
		case *ComplexAssembly:
			t.countAssemblies(durus.As[ComplexAssembly](sub), c)
		case *BaseAssembly:
			c.Bases++
			for _, comp := range a.ComponentsPriv {
				c.Private.Add(a.ID, durus.Must(comp.Load(t)).ID)
			}
			for _, comp := range a.ComponentsShar {
				c.Shared.Add(a.ID, durus.Must(comp.Load(t)).ID)
			}
		}
	}
}
