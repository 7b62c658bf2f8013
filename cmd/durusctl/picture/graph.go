package picture

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Graph is what is drawn. The first object is where the reader begins.
type Graph struct {
	Title   string   `json:"title"`
	Notes   []string `json:"notes"` // what the reader should know, such as what was left out
	Objects []Object `json:"objects"`
}

// Object is a node of the graph.
type Object struct {
	ID      string     `json:"id"` // different for each object
	Class   string     `json:"class"`
	About   string     `json:"about,omitempty"` // more about it, in a few words
	Rows    []Row      `json:"rows"`
	More    int        `json:"more,omitempty"`    // rows that were left out
	History []Revision `json:"history,omitempty"` // the newest first
	Older   bool       `json:"older,omitempty"`   // there may be older ones
}

// Row is a value in an object.
type Row struct {
	Name string `json:"name"`
	Text string `json:"text"`
	To   string `json:"to,omitempty"` // the object that it refers to, whether it is in the graph or not
	Weak bool   `json:"weak,omitempty"`
}

// Revision is a transaction that has written an object.
type Revision struct {
	TID         string `json:"tid"`
	Time        string `json:"time"`
	User        string `json:"user"`
	Description string `json:"description"`
}

// classes lists the classes of the graph in order.
func (g *Graph) classes() []string {
	var list []string
	for i := range g.Objects {
		list = append(list, g.Objects[i].Class)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// colors are tints for classes, light enough for black text, told apart also by
// most who see fewer colors. Classes share them if there are more.
var colors = []string{
	"#bcd7f5", "#fbd9a5", "#c9e7b8", "#f3c3d3", "#d9ccf0", "#b5e5e0",
	"#f6f0a4", "#e3d2bd", "#d5dbe3", "#f5b9a7", "#a9cfd9", "#e4e4b4",
}

// palette gives each class its color.
func (g *Graph) palette() map[string]string {
	p := make(map[string]string)
	for i, c := range g.classes() {
		p[c] = colors[i%len(colors)]
	}
	return p
}

// clean makes text safe for any of the formats before their own escapes: no
// control characters, none that turn the direction of writing or that XML
// forbids, no broken UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r),
			unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), r&0xfffe == 0xfffe:
			return utf8.RuneError
		}
		return r
	}, s)
}

// columns is how many columns of a fixed-width font text takes, at most.
func columns(s string) int {
	n := 0
	for _, r := range s {
		if r >= 0x1100 {
			n++
		}
		n++
	}
	return n
}

// short cuts text to so many columns.
func short(s string, most int) string {
	s = clean(s)
	if columns(s) <= most {
		return s
	}
	n := 1 // the mark
	for i, r := range s {
		w := columns(string(r))
		if n+w > most {
			return s[:i] + "…"
		}
		n += w
	}
	return s
}
