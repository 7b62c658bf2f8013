package picture

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	border      = 24.0
	titleHeight = 30.0
	noteHeight  = 16.0
	swatch      = 12.0
)

// SVG writes the graph as a picture: cards with a line for each value, from which
// references lead to other cards; strong ones solid, weak ones dashed. Each card
// is labelled with its class; the colors repeat it.
func (g *Graph) SVG(to io.Writer) error {
	p := &painter{Writer: bufio.NewWriter(to), drawing: arrange(g), colors: g.palette()}
	legend := p.legend(g)
	top := border + titleHeight + noteHeight*float64(len(g.Notes))
	width := max(p.width, p.textWidth(g), 320) + 2*border
	legendRows := arrangeLegend(legend, width-2*border)
	height := top + p.height + border + legendRows*(lineHeight+4) + border

	p.f(`<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %s %s" width="%s" height="%s" role="img">`+"\n",
		num(width), num(height), num(width), num(height))
	p.f("<title>%s</title>\n", markup(g.Title))
	p.f(`<style>text{font:11px "DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#111;white-space:pre}` +
		`.t{font:bold 15px "DejaVu Sans",Helvetica,Arial,sans-serif}.n{font:11px "DejaVu Sans",Helvetica,Arial,sans-serif;fill:#555}` +
		`.h{font-weight:bold}.c{fill:#fff;stroke:#333}.w{fill:none;stroke:#444;stroke-width:1.1}.k{stroke-dasharray:5 3}</style>` + "\n")
	p.f(`<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#444"/></marker></defs>` + "\n")
	p.f(`<rect width="100%%" height="100%%" fill="#fff"/>` + "\n")
	p.f(`<text class="t" x="%s" y="%s">%s</text>`+"\n", num(border), num(border+14), markup(g.Title))
	for i, note := range g.Notes {
		p.f(`<text class="n" x="%s" y="%s">%s</text>`+"\n", num(border), num(border+titleHeight+4+float64(i)*noteHeight), markup(note))
	}
	p.f(`<g transform="translate(%s %s)">`+"\n", num(border), num(top))
	for _, w := range p.wires {
		p.wire(w)
	}
	for _, c := range p.cards {
		p.card(c)
	}
	p.f("</g>\n")
	p.f(`<g transform="translate(%s %s)">`+"\n", num(border), num(top+p.height+border))
	for _, e := range legend {
		p.f(`<rect x="%s" y="%s" width="%s" height="%s" fill="%s" stroke="#333"/><text x="%s" y="%s">%s</text>`+"\n",
			num(e.x), num(e.y), num(swatch), num(swatch), e.color, num(e.x+swatch+5), num(e.y+10), markup(e.text))
	}
	p.f("</g>\n</svg>\n")
	return p.Flush()
}

type painter struct {
	*bufio.Writer
	*drawing
	colors map[string]string
}

func (p *painter) f(format string, args ...any) { fmt.Fprintf(p.Writer, format, args...) }

// num is a coordinate: a tenth of a pixel is exact enough.
func num(f float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", math.Round(f*10)/10), ".0")
}

func (p *painter) card(c *card) {
	p.f(`<g><rect class="c" x="%s" y="%s" width="%s" height="%s" rx="3"/>`, num(c.x), num(c.y), num(c.w), num(c.h))
	p.f(`<path d="M%s %sv-%sq0 -3 3 -3h%sq3 0 3 3v%sz" fill="%s" stroke="#333"/>`,
		num(c.x), num(c.y+headHeight), num(headHeight-3), num(c.w-6), num(headHeight-3), p.colors[c.object.Class])
	p.f(`<text class="h" x="%s" y="%s">%s</text>`, num(c.x+margin), num(c.headY()+4), markup(c.head))
	for i, l := range c.lines {
		p.f(`<text x="%s" y="%s">%s</text>`, num(c.x+margin), num(c.lineY(i)+4), markup(l.label()))
	}
	dots := make(map[[2]float64]bool)
	for _, l := range c.links {
		if at := [2]float64{p.port(c, l.to), c.lineY(l.line)}; !dots[at] {
			dots[at] = true
			p.f(`<circle cx="%s" cy="%s" r="2"/>`, num(at[0]), num(at[1]))
		}
	}
	p.f("</g>\n")
}

// port is the side of a card at which a reference leaves it.
func (p *painter) port(from, to *card) float64 {
	if to.column < from.column {
		return from.x
	}
	return from.x + from.w
}

// wire draws a reference, which arrives at the header of a card.
func (p *painter) wire(w *wire) {
	x, y := p.port(w.from, w.to), w.from.lineY(w.line)
	class := "w"
	if w.weak {
		class = "w k"
	}
	p.f(`<path class="%s" marker-end="url(#a)" d="M%s %s`, class, num(x), num(y))
	tx, ty := w.to.x, w.to.headY()
	at := w.from.column
	switch {
	case at == w.to.column: // or itself: around the right side
		tx += w.to.w
		out := max(x, tx) + 14 + min(math.Abs(ty-y)/12, gap-22) // not all in one line
		p.f("C%s %s %s %s %s %s", num(out), num(y), num(out), num(ty), num(tx), num(ty))
	case w.to.column < at:
		for _, b := range w.bends {
			p.lead(at, b.column, x, y, p.right[b.column], b.y)
			x, y, at = p.left[b.column], b.y, b.column
			p.f("H%s", num(x))
		}
		p.lead(at, w.to.column, x, y, tx+w.to.w, ty)
	default:
		for _, b := range w.bends {
			p.lead(at, b.column, x, y, p.left[b.column], b.y)
			x, y, at = p.right[b.column], b.y, b.column
			p.f("H%s", num(x))
		}
		p.lead(at, w.to.column, x, y, tx, ty)
	}
	p.f("\"/>\n")
}

// lead leads from a column to the one beside it: from one band to another through
// the way between them.
func (p *painter) lead(from, to int, x, y, tx, ty float64) {
	if p.band[from] == p.band[to] {
		p.curve(x, y, tx, ty)
		return
	}
	out, between := gap/2, p.above[max(p.band[from], p.band[to])]
	if to < from {
		out = -out
	}
	p.f("C%s %s %s %s %s %s", num(x+out), num(y), num(x+out), num(between), num(x), num(between))
	p.f("H%s", num(tx))
	p.f("C%s %s %s %s %s %s", num(tx-out), num(between), num(tx-out), num(ty), num(tx), num(ty))
}

// curve leads from one point to another, level at both.
func (p *painter) curve(x, y, tx, ty float64) {
	half := (tx - x) / 2
	p.f("C%s %s %s %s %s %s", num(x+half), num(y), num(tx-half), num(ty), num(tx), num(ty))
}

func (p *painter) textWidth(g *Graph) float64 {
	w := float64(columns(clean(g.Title))) * 10
	for _, n := range g.Notes {
		w = max(w, float64(columns(clean(n)))*glyph)
	}
	return w
}

// legendEntry is a class, its color, and how many objects of it are drawn.
type legendEntry struct {
	color, text string
	x, y        float64
}

func (p *painter) legend(g *Graph) []*legendEntry {
	n := make(map[string]int)
	for i := range g.Objects {
		n[g.Objects[i].Class]++
	}
	var list []*legendEntry
	for _, c := range g.classes() {
		list = append(list, &legendEntry{color: p.colors[c], text: fmt.Sprintf("%s (%d)", short(c, maxHead), n[c])})
	}
	return list
}

// arrangeLegend places the entries in rows and returns how many.
func arrangeLegend(list []*legendEntry, width float64) (rows float64) {
	x := 0.0
	for _, e := range list {
		w := swatch + 5 + float64(columns(e.text))*glyph + 18
		if x > 0 && x+w > width {
			x = 0
			rows++
		}
		e.x, e.y = x, rows*(lineHeight+4)
		x += w
	}
	return rows + 1
}
