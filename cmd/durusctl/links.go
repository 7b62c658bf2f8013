package main

import (
	"fmt"
	"strings"

	"github.com/durusdb/durus/storage"
)

// linkJSON is a reference from one object to another, as refs and referrers
// print it: the object is the other one.
type linkJSON struct {
	reference
	Field string      `json:"field"`
	Weak  bool        `json:"weak"`
	Node  storage.OID `json:"node,omitempty"` // of the container, that holds the reference
}

// linkPrinter prints references as they are found. Its first column has a
// fixed width for that.
type linkPrinter struct {
	*app
	objects string // title of the first column
	limit   int    // 0: none
	n       int
}

const linkColumn = 32

// print reports whether there is room for more.
func (p *linkPrinter) print(l linkJSON) (more bool, err error) {
	p.n++
	if p.json {
		err = p.printJSON(l)
		return p.n != p.limit, err
	}
	if p.n == 1 {
		fmt.Fprintln(p.out, p.bold(fmt.Sprintf("%-*s  %s", linkColumn, p.objects, "FIELD")))
	}
	at := plain(l.Field)
	if l.Weak {
		at += " (weak)"
	}
	line := pad(plain(l.String()), linkColumn) + "  " + at
	if p.width > 0 {
		line = cut(line, p.width)
	}
	_, err = fmt.Fprintln(p.out, strings.TrimRight(line, " "))
	return p.n != p.limit, err
}

// end tells that there may be more.
func (p *linkPrinter) end() {
	if p.n == p.limit && p.limit > 0 {
		p.note("there may be more: the limit is -n %d", p.limit)
	}
}
