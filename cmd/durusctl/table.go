package main

import (
	"fmt"
	"strings"
)

// facts is a table of names and values, one a line.
type facts [][2]string

func (f *facts) add(name, value string) { *f = append(*f, [2]string{name, value}) }

func (a *app) printFacts(f facts) {
	width := 0
	for _, row := range f {
		width = max(width, textWidth(row[0]))
	}
	for _, row := range f {
		fmt.Fprint(a.out, a.bold(pad(row[0], width))+"  "+wrap(row[1], a.width, width+2)+"\n")
	}
}

// table has a header and rows. Columns named in right are numbers. Where the
// terminal is too narrow, the columns named in spare go, in that order; then text is
// cut, but for that in whole.
type table struct {
	header []string
	right  map[int]bool
	whole  map[int]bool
	spare  []int
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (a *app) printTable(t *table) {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	t.fit(widths, a.width)
	line := func(row []string) string {
		var cells []string
		for i, cell := range row {
			if widths[i] == gone {
				continue
			}
			cell = cut(cell, widths[i])
			if t.right[i] {
				cells = append(cells, strings.Repeat(" ", widths[i]-textWidth(cell))+cell)
			} else {
				cells = append(cells, pad(cell, widths[i]))
			}
		}
		return strings.TrimRight(strings.Join(cells, "  "), " ")
	}
	fmt.Fprint(a.out, a.bold(line(t.header))+"\n")
	for _, row := range t.rows {
		fmt.Fprint(a.out, line(row)+"\n")
	}
}

const (
	gone     = -2 // the width of a column that is left out, so that it costs nothing
	shortest = 8  // what is left of a column of text at least
)

// fit makes widths smaller until a line with two spaces between columns takes no
// more than width; 0: any number.
func (t *table) fit(widths []int, width int) {
	if width == 0 {
		return
	}
	excess := -2 - width
	for _, w := range widths {
		excess += w + 2
	}
	for _, i := range t.spare {
		if excess > 0 {
			excess -= widths[i] - gone
			widths[i] = gone
		}
	}
	for ; excess > 0; excess-- {
		widest := -1
		for i, w := range widths {
			if !t.right[i] && !t.whole[i] && w > shortest && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}
