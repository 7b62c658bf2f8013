package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// facts is a table of names and values, one a line.
type facts [][2]string

func (f *facts) add(name, value string) { *f = append(*f, [2]string{name, value}) }

func (a *app) printFacts(f facts) {
	width := 0
	for _, row := range f {
		width = max(width, utf8.RuneCountInString(row[0]))
	}
	for _, row := range f {
		fmt.Fprint(a.out, a.bold(pad(row[0], width))+"  "+row[1]+"\n")
	}
}

// table has a header and rows. Columns named in right are numbers; the others are
// cut where the terminal is too narrow.
type table struct {
	header []string
	right  map[int]bool
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (a *app) printTable(t *table) {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fit(widths, t.right, a.width)
	line := func(row []string) string {
		cells := make([]string, len(row))
		for i, cell := range row {
			cell = cut(cell, widths[i])
			if t.right[i] {
				cells[i] = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + cell
			} else {
				cells[i] = pad(cell, widths[i])
			}
		}
		return strings.TrimRight(strings.Join(cells, "  "), " ")
	}
	fmt.Fprint(a.out, a.bold(line(t.header))+"\n")
	for _, row := range t.rows {
		fmt.Fprint(a.out, line(row)+"\n")
	}
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}
