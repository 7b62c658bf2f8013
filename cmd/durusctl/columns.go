package main

import (
	"fmt"
	"strings"
)

// column is one of a table that is printed as it is read, so that its widths are
// fixed before the first row is known.
type column struct {
	title string
	width int  // as wide as it would be
	least int  // what a narrow terminal may make of it
	right bool // it holds numbers
}

// columns are those of such a table. Text of any length follows behind them.
type columns struct {
	list   []column // in the order in which they are printed
	last   string   // title of what follows
	widths []int
	width  int // of the terminal; 0: any number
}

// lastLeast is what is kept for the text behind the columns.
const lastLeast = 20

// columns fits a table to the terminal: those of give become narrower, one after
// the other, and then are left out, until there is room for the text.
func (a *app) columns(last string, give []int, list ...column) *columns {
	c := &columns{list: list, last: last, width: a.width}
	excess := lastLeast - a.width
	for _, col := range list {
		c.widths = append(c.widths, col.width)
		excess += col.width + 2
	}
	if a.width == 0 {
		return c
	}
	shrink := func(i, to int) {
		excess -= c.widths[i] - to
		c.widths[i] = to
	}
	for _, i := range give {
		if excess > 0 {
			shrink(i, max(list[i].least, c.widths[i]-excess))
		}
	}
	for _, i := range give {
		if excess > 0 {
			shrink(i, gone)
		}
	}
	return c
}

// header is the first line.
func (c *columns) header() string {
	titles := make([]string, len(c.list))
	for i, col := range c.list {
		titles[i] = col.title
	}
	return c.line(c.last, titles...)
}

// line is a row. On a terminal what does not fit is cut.
func (c *columns) line(last string, cells ...string) string {
	var b strings.Builder
	for i, cell := range cells {
		w := c.widths[i]
		if w == gone {
			continue
		}
		if c.width > 0 {
			cell = cut(cell, w)
		}
		if c.list[i].right {
			cell = strings.Repeat(" ", max(0, w-textWidth(cell))) + cell
		}
		fmt.Fprint(&b, pad(cell, w), "  ")
	}
	line := strings.TrimRight(b.String()+last, " ")
	if c.width > 0 {
		line = cut(line, c.width)
	}
	return line
}
