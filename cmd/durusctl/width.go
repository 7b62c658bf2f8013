package main

import (
	"io"
	"os"
	"strconv"

	"github.com/durusdb/durus/cmd/durusctl/terminal"
)

// unknownWidth is that of a terminal which does not say.
const unknownWidth = 80

// widthOf is how many columns a line may take on w; 0: as many as it needs,
// since nobody sees it and a program may read it. COLUMNS has the last word.
func widthOf(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if !isTerminal(w) {
		return 0
	}
	if f, ok := w.(interface{ Fd() uintptr }); ok {
		if n, ok := terminal.Width(f.Fd()); ok {
			return n
		}
	}
	return unknownWidth
}

// shortest is what is left of a column at least.
const shortest = 8

// fit makes columns of text narrower, the widest first, until a line of them
// with two spaces between takes no more than width columns; 0: any number.
func fit(widths []int, fixed map[int]bool, width int) {
	if width == 0 {
		return
	}
	excess := 2*(len(widths)-1) - width
	for _, w := range widths {
		excess += w
	}
	for ; excess > 0; excess-- {
		widest := -1
		for i, w := range widths {
			if !fixed[i] && w > shortest && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}
