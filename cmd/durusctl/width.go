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
