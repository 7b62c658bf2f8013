package picture

import (
	"cmp"
	"slices"
)

// The layout is layered, after Sugiyama, Tagawa and Toda (1981): cards stand in
// columns by their distance from the first one, so references lead to the next
// column, within one, or back. Those that lead back over columns bend around the
// cards between: a bend is a place without a card. The order within a column
// follows the mean of the neighbors, and so do the heights, which are the nearest
// ones to it that keep the distances (isotonic regression).

// vertex is a place in a column: a card or a bend.
type vertex struct {
	card   *card
	column int
	order  int
	y      float64 // of the middle
	h      float64
	before []*vertex // neighbors in the column before
	behind []*vertex
	where  float64 // where the neighbors would have it
}

// wire is a drawn reference.
type wire struct {
	link
	from  *card
	bends []*vertex // on the way, for one that leads back
}

// drawing is a graph with places.
type drawing struct {
	cards         []*card
	wires         []*wire
	columns       [][]*vertex
	left, right   []float64 // of each column
	width, height float64
}

const (
	sweeps   = 8
	spacing  = 18.0 // between cards of a column
	gap      = 64.0 // between columns
	bendSize = 6.0
	maxBends = 20_000 // beyond, references lead behind the cards
)

// arrange finds a place for everything.
func arrange(g *Graph) *drawing {
	d := &drawing{cards: cards(g)}
	of := d.layers()
	d.connect(of)
	d.sort()
	d.place()
	return d
}

// layers gives each card its column, breadth first.
func (d *drawing) layers() map[*card]*vertex {
	of := make(map[*card]*vertex, len(d.cards))
	for _, start := range d.cards {
		if of[start] != nil {
			continue
		}
		of[start] = d.add(start, 0)
		for queue := []*vertex{of[start]}; len(queue) > 0; queue = queue[1:] {
			for _, l := range queue[0].card.links {
				if of[l.to] == nil {
					v := d.add(l.to, queue[0].column+1)
					of[l.to] = v
					queue = append(queue, v)
				}
			}
		}
	}
	return of
}

func (d *drawing) add(c *card, column int) *vertex {
	for len(d.columns) <= column {
		d.columns = append(d.columns, nil)
	}
	v := &vertex{card: c, column: column, order: len(d.columns[column]), h: bendSize}
	if c != nil {
		v.h = c.h
	}
	d.columns[column] = append(d.columns[column], v)
	return v
}

// connect makes the wires and their bends.
func (d *drawing) connect(of map[*card]*vertex) {
	bends := 0
	for _, c := range d.cards {
		for _, l := range c.links {
			w := &wire{from: c, link: l}
			d.wires = append(d.wires, w)
			from, to := of[c], of[l.to]
			if to.column == from.column {
				continue
			}
			at := from
			for col := from.column - 1; col > to.column && bends < maxBends; col-- {
				bend := d.add(nil, col)
				bends++
				join(bend, at)
				w.bends = append(w.bends, bend)
				at = bend
			}
			switch to.column - at.column {
			case 1:
				join(at, to)
			case -1:
				join(to, at)
			}
		}
	}
}

func join(before, behind *vertex) {
	before.behind = append(before.behind, behind)
	behind.before = append(behind.before, before)
}

// sort orders the columns so that few wires cross.
func (d *drawing) sort() {
	sweep := func(column []*vertex, neighbors func(*vertex) []*vertex) {
		for _, v := range column {
			v.where = mean(neighbors(v), float64(v.order), func(n *vertex) float64 { return float64(n.order) })
		}
		slices.SortStableFunc(column, func(a, b *vertex) int { return cmp.Compare(a.where, b.where) })
		for i, v := range column {
			v.order = i
		}
	}
	for range sweeps {
		for _, column := range d.columns[min(1, len(d.columns)):] {
			sweep(column, func(v *vertex) []*vertex { return v.before })
		}
		for _, column := range slices.Backward(d.columns) {
			sweep(column, func(v *vertex) []*vertex { return v.behind })
		}
	}
	for _, column := range d.columns[min(1, len(d.columns)):] {
		sweep(column, func(v *vertex) []*vertex { return v.before })
	}
}

// mean of what f says of the vertices; without any, otherwise.
func mean(list []*vertex, otherwise float64, f func(*vertex) float64) float64 {
	if len(list) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, v := range list {
		sum += f(v)
	}
	return sum / float64(len(list))
}

// place gives coordinates to columns, cards and bends.
func (d *drawing) place() {
	for _, column := range d.columns {
		y := 0.0
		for _, v := range column {
			v.y = y + v.h/2
			y += v.h + spacing
		}
	}
	middle := func(v *vertex) float64 { return v.y }
	for range sweeps {
		for _, column := range d.columns {
			settle(column, func(v *vertex) float64 { return mean(v.before, v.y, middle) })
		}
		for _, column := range slices.Backward(d.columns) {
			settle(column, func(v *vertex) float64 { return mean(slices.Concat(v.behind, v.before), v.y, middle) })
		}
	}
	top := 0.0
	for i, column := range d.columns {
		for j, v := range column {
			if t := v.y - v.h/2; i+j == 0 || t < top {
				top = t
			}
		}
	}
	x := 0.0
	for _, column := range d.columns {
		w := 0.0
		for _, v := range column {
			v.y -= top
			d.height = max(d.height, v.y+v.h/2)
			if v.card != nil {
				v.card.x, v.card.y = x, v.y-v.h/2
				w = max(w, v.card.w)
			}
		}
		d.left, d.right = append(d.left, x), append(d.right, x+w)
		d.width = x + w
		x += w + gap
	}
	d.width += gap / 2 // for what leads around the right side of the last column
}

// settle moves the vertices of a column as near to where they want to be as the
// distances between them allow: the least squares, by pooling adjacent violators.
func settle(column []*vertex, want func(*vertex) float64) {
	type block struct {
		sum float64 // of where its vertices want the block to begin
		n   int
	}
	var blocks []block
	offsets := make([]float64, len(column)) // from the first vertex, at the least distance
	for i, v := range column {
		if i > 0 {
			offsets[i] = offsets[i-1] + (column[i-1].h+v.h)/2 + spacing
		}
		b := block{want(v) - offsets[i], 1}
		for k := len(blocks); k > 0 && blocks[k-1].sum/float64(blocks[k-1].n) > b.sum/float64(b.n); k-- {
			b.sum += blocks[k-1].sum
			b.n += blocks[k-1].n
			blocks = blocks[:k-1]
		}
		blocks = append(blocks, b)
	}
	i := 0
	for _, b := range blocks {
		for range b.n {
			column[i].y = b.sum/float64(b.n) + offsets[i]
			i++
		}
	}
}
