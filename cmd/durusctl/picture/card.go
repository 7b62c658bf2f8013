package picture

import "fmt"

// card is an object as it is drawn: a header, and a line for each row that there
// is room for.
type card struct {
	object *Object
	head   string
	lines  []line
	links  []link
	x, y   float64 // top left corner
	w, h   float64
	column int
}

type line struct {
	name, text string
}

// link is a reference to an object in the picture.
type link struct {
	line int // from which it begins: of what there is no room for, the last
	to   *card
	weak bool
}

// Measures, in the unit of the picture: a pixel on a screen. The font has a fixed
// width; glyph is that of its widest kin.
const (
	glyph      = 6.7
	lineHeight = 16.0
	headHeight = 22.0
	margin     = 8.0
	maxHead    = 40 // columns
	maxName    = 22
	maxText    = 30
	maxLines   = 12
)

// cards makes a card of each object.
func cards(g *Graph) []*card {
	list := make([]*card, len(g.Objects))
	byID := make(map[string]*card, len(list))
	for i := range g.Objects {
		list[i] = &card{object: &g.Objects[i]}
		byID[g.Objects[i].ID] = list[i]
	}
	for _, c := range list {
		c.fill(byID)
	}
	return list
}

// fill chooses the lines. References that are drawn come before others if there
// is no room for all. The last line stands for those that are left.
func (c *card) fill(byID map[string]*card) {
	o := c.object
	c.head = short(o.Class, maxHead-columns(o.ID)-1) + "@" + short(o.ID, 16)
	room := maxLines
	for _, r := range o.Rows {
		if byID[r.To] != nil && room > 0 {
			room--
		}
	}
	refs, others := maxLines-room, room
	left := o.More
	if o.About != "" {
		c.lines = append(c.lines, line{text: short(o.About, maxHead)})
	}
	var hidden []link
	for _, r := range o.Rows {
		budget := &others
		to := byID[r.To]
		if to != nil {
			budget = &refs
		}
		if *budget == 0 {
			left++
			if to != nil {
				hidden = append(hidden, link{to: to, weak: r.Weak})
			}
			continue
		}
		*budget--
		if to != nil {
			c.links = append(c.links, link{len(c.lines), to, r.Weak})
		}
		c.lines = append(c.lines, line{short(r.Name, maxName), short(r.Text, maxText)})
	}
	for _, l := range hidden {
		l.line = len(c.lines)
		c.links = append(c.links, l)
	}
	if left > 0 {
		c.lines = append(c.lines, line{text: fmt.Sprintf("… and %d more", left)})
	}
	widest := columns(c.head) + 1 // it is bold
	for _, l := range c.lines {
		widest = max(widest, columns(l.label()))
	}
	c.w = float64(widest)*glyph + 2*margin
	c.h = headHeight + float64(len(c.lines))*lineHeight + margin/2
}

func (l line) label() string {
	if l.name == "" {
		return l.text
	}
	return l.name + ": " + l.text
}

// lineY is the middle of a line.
func (c *card) lineY(i int) float64 { return c.y + headHeight + (float64(i)+0.5)*lineHeight }

// headY is the middle of the header.
func (c *card) headY() float64 { return c.y + headHeight/2 }
