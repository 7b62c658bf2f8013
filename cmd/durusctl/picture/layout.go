package picture

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// The layout is layered, after Sugiyama, Tagawa and Toda (1981): cards stand in
// columns by their distance from the first one. High columns are folded into
// several, and many columns are broken into bands, as text is into lines. References that lead over columns bend around the cards between: a bend is
// a place without a card. Those that come from one card share their bends, and so do
// those that lead back to one card. The order within a column follows the mean of the neighbors, and
// so do the heights, which are the nearest ones to it that keep the distances
// (isotonic regression).

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
	bends []*vertex // on the way
}

// drawing is a graph with places.
type drawing struct {
	cards         []*card
	wires         []*wire
	columns       [][]*vertex
	left, right   []float64 // of each column
	band          []int     // of each column
	above         []float64 // the middle of the way above each band
	width, height float64
}

const (
	sweeps   = 8
	spacing  = 18.0 // between cards of a column
	gap      = 64.0 // between columns
	bendSize = 6.0
	maxBends = 20_000 // beyond, references lead behind the cards

	foldedLeast = 800.0 // high enough for any picture
	foldStep    = 0.85
	bandLeast   = 1500.0 // wide enough for any picture
	bandGap     = 48.0
	bandShape   = 2.0 // of the picture, width by height
)

// arrange finds a place for everything.
func arrange(g *Graph) *drawing {
	d := &drawing{cards: cards(g)}
	of := d.layers()
	d.fold()
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

// fold breaks columns that are higher than foldedLeast, as far as it makes the
// picture smaller. The order of the cards stays.
func (d *drawing) fold() {
	limit := 0.0
	for _, column := range d.columns {
		limit = max(limit, height(column))
	}
	whole, best := d.columns, math.Inf(1)
	for ok := true; ok; ok = limit > foldedLeast {
		var columns [][]*vertex
		for _, column := range whole {
			columns = append(columns, parts(column, limit)...)
		}
		if _, w, h := bands(columns); max(w, h) < best {
			d.columns, best = columns, max(w, h)
		}
		limit *= foldStep
	}
	for i, column := range d.columns {
		for j, v := range column {
			v.column, v.order = i, j
		}
	}
}

// parts cuts a column into as few pieces as can be that are no higher than limit,
// and makes them of about the same height.
func parts(column []*vertex, limit float64) (list [][]*vertex) {
	n := math.Ceil(height(column) / max(limit, 1))
	share := height(column) / max(n, 1)
	begin, sum := 0, 0.0
	for i, v := range column {
		if sum > 0 && sum+v.h > share+spacing {
			list = append(list, column[begin:i:i])
			begin, sum = i, 0
		}
		sum += v.h + spacing
	}
	return append(list, column[begin:])
}

func height(column []*vertex) float64 {
	sum := 0.0
	for _, v := range column {
		sum += v.h + spacing
	}
	return sum
}

func widest(column []*vertex) float64 {
	most := 0.0
	for _, v := range column {
		if v.card != nil {
			most = max(most, v.card.w)
		}
	}
	return most
}

// connect makes the wires and their bends.
func (d *drawing) connect(of map[*card]*vertex) {
	type place struct {
		of     *card // where all references that bend here come from, or lead to
		column int
		back   bool
	}
	bends := make(map[place]*vertex)
	joined := make(map[[2]*vertex]bool)
	bent := 0
	for _, c := range d.cards {
		for _, l := range c.links {
			w := &wire{from: c, link: l}
			d.wires = append(d.wires, w)
			from, to := of[c], of[l.to]
			if to.column == from.column {
				continue
			}
			step, at := place{of: c}, from
			way := 1
			if to.column < from.column {
				step, way = place{of: l.to, back: true}, -1
			}
			for step.column = from.column + way; step.column != to.column && bent < maxBends; step.column += way {
				bend := bends[step]
				if bend == nil {
					bend = d.add(nil, step.column)
					bends[step] = bend
				}
				if pair := [2]*vertex{at, bend}; !joined[pair] {
					joined[pair] = true
					join(at, bend, way)
				}
				w.bends = append(w.bends, bend)
				at = bend
				bent++
			}
			if at.column+way == to.column {
				join(at, to, way)
			}
		}
	}
}

// join makes neighbors of two vertices; way is 1 if the second is behind the first.
func join(from, to *vertex, way int) {
	if way < 0 {
		from, to = to, from
	}
	from.behind = append(from.behind, to)
	to.before = append(to.before, from)
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
	y, begin := 0.0, 0
	ends, _, _ := bands(d.columns)
	for _, end := range ends {
		top, high := level(d.columns[begin:end])
		d.above = append(d.above, y-bandGap/2)
		d.spread(begin, end, y-top)
		y += high + bandGap
		begin = end
	}
	d.height = max(y-bandGap, 0)
	d.width += gap / 2 // for what leads around the right side of the last column
}

// bands breaks columns into as few bands as make a picture that is not too wide for
// its height. It returns where each ends, and the size of the picture.
func bands(columns [][]*vertex) (ends []int, width, high float64) {
	w, h, total := make([]float64, len(columns)), make([]float64, len(columns)), 0.0
	for i, column := range columns {
		w[i], h[i] = widest(column)+gap, height(column)
		total += w[i]
	}
	fill := func(most float64) {
		ends, width, high = nil, 0, 0
		x, highest := 0.0, 0.0
		for i := range columns {
			if x > 0 && x+w[i] > most {
				ends, high, x, highest = append(ends, i), high+highest+bandGap, 0, 0
			}
			x += w[i]
			width, highest = max(width, x), max(highest, h[i])
		}
		ends, high = append(ends, len(columns)), high+highest
	}
	n := sort.Search(len(columns), func(n int) bool {
		fill(max(total/float64(n+1)+1, bandLeast))
		return width <= max(bandShape*high, bandLeast)
	})
	fill(max(total/float64(n+1)+1, bandLeast))
	return ends, width, high
}

// spread gives the columns of a band their places, by so much further down than
// they are.
func (d *drawing) spread(begin, end int, by float64) {
	x := 0.0
	if end-begin < len(d.columns) {
		x = gap / 2 // for what comes from other bands
	}
	for i := begin; i < end; i++ {
		w := widest(d.columns[i])
		for _, v := range d.columns[i] {
			v.y += by
			if v.card != nil {
				v.card.x, v.card.y, v.card.column = x, v.y-v.h/2, i
			}
		}
		d.left, d.right = append(d.left, x), append(d.right, x+w)
		d.band = append(d.band, len(d.above)-1)
		d.width = max(d.width, x+w)
		x += w + gap
	}
}

// level makes columns no higher than the highest of them has to be, and returns where
// that begins and how high it is: what lies above or below moves as little as the
// distances allow.
func level(columns [][]*vertex) (top, most float64) {
	for _, column := range columns {
		if h := height(column) - spacing; h > most {
			first, last := column[0], column[len(column)-1]
			most, top = h, (first.y-first.h/2+last.y+last.h/2-h)/2
		}
	}
	for _, column := range columns {
		above, below := top, top+most-height(column)+spacing // of where each may begin, if all before it touch
		for _, v := range column {
			v.y = min(max(v.y, above+v.h/2), below+v.h/2)
			above += v.h + spacing
			below += v.h + spacing
		}
	}
	return top, most
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
