package onsqlite

// What is visited is fetched as a whole: the benchmark is about objects, and the
// other contenders load them, too.

type design struct {
	id   int
	kind string
	date int
}

func (d *design) into() []any { return []any{&d.id, &d.kind, &d.date} }

type atomicPart struct {
	design
	x, y, docID, partOf int
}

const partColumns = "p.id, p.type, p.build_date, p.x, p.y, p.doc_id, p.part_of"

func (p *atomicPart) into() []any { return append(p.design.into(), &p.x, &p.y, &p.docID, &p.partOf) }

type connection struct {
	from, to int
	kind     string
	length   int
}

const connColumns = "from_part, to_part, type, length"

func (c *connection) into() []any { return []any{&c.from, &c.to, &c.kind, &c.length} }

type compositePart struct {
	design
	root int
}

const compositeColumns = "c.id, c.type, c.build_date, c.root_part"

func (c *compositePart) into() []any { return append(c.design.into(), &c.root) }

type baseAssembly struct {
	design
	super, module int
}

const baseColumns = "b.id, b.type, b.build_date, b.super, b.module"

func (b *baseAssembly) into() []any { return append(b.design.into(), &b.super, &b.module) }

type document struct {
	id          int
	title, text string
}

const documentColumns = "d.id, d.title, d.text"

func (d *document) into() []any { return []any{&d.id, &d.title, &d.text} }
