package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/durusdb/durus/cmd/durusctl/terminal"
)

// wide are the letters and signs that take two columns of a terminal, by and large:
// those of East Asia, and emoji.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115f, 1}, {0x2e80, 0x303e, 1}, {0x3041, 0xa4cf, 1}, {0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1}},
	R32: []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1faff, 1}, {0x20000, 0x3fffd, 1}},
}

// runeWidth is how many columns a character takes: none if it joins the one before.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// textWidth is how many columns text takes.
func textWidth(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// pad fills text up to a width.
func pad(s string, width int) string { return s + strings.Repeat(" ", max(0, width-textWidth(s))) }

// cut shortens text to a width of one column at least.
func cut(s string, width int) string {
	if len(s) <= width || textWidth(s) <= width {
		return s
	}
	n := 1 // the mark
	for i, r := range s {
		if n += runeWidth(r); n > width {
			return s[:i] + "…"
		}
	}
	return s
}

// wrap breaks text into lines between words; those after the first begin with
// indent spaces. A word that is wider than a line has one of its own. Width 0 breaks
// nothing.
func wrap(s string, width, indent int) string {
	if width == 0 || indent+textWidth(s) <= width {
		return s
	}
	var b strings.Builder
	at := indent
	for i, word := range strings.Split(s, " ") {
		n := textWidth(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// Size of a terminal which does not say.
const (
	unknownWidth  = 80
	unknownHeight = 24
)

// sizeOf is how many columns a line may take on w, and rows a screen; 0: as many
// as it needs, since nobody sees it and a program may read it. COLUMNS and LINES
// have the last word.
func sizeOf(w io.Writer) (columns, rows int) {
	if isTerminal(w) {
		columns, rows = unknownWidth, unknownHeight
		if f, ok := w.(interface{ Fd() uintptr }); ok {
			if c, r, ok := terminal.Size(f.Fd()); ok {
				columns, rows = c, r
			}
		}
	}
	return given("COLUMNS", columns), given("LINES", rows)
}

// given is the number in an environment variable, if it has one above zero.
func given(variable string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil && n > 0 {
		return n
	}
	return otherwise
}
