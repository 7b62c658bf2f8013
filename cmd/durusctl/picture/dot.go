package picture

import (
	"bufio"
	"fmt"
	"html"
	"io"
)

// DOT writes the graph as text for Graphviz.
func (g *Graph) DOT(to io.Writer) error {
	w := bufio.NewWriter(to)
	colors := g.palette()
	fmt.Fprintf(w, "digraph durus {\n  label=<<B>%s</B>", markup(g.Title))
	for _, note := range g.Notes {
		fmt.Fprintf(w, "<BR/>%s", markup(note))
	}
	fmt.Fprint(w, ">; labelloc=t; rankdir=LR; nodesep=0.25; ranksep=0.7;\n")
	fmt.Fprint(w, "  graph [fontname=\"Helvetica\"]; node [shape=plain, fontname=\"Courier\", fontsize=10]; edge [color=\"#444444\", arrowsize=0.6];\n")
	list := cards(g)
	number := make(map[*card]int, len(list))
	for i, c := range list {
		number[c] = i
		fmt.Fprintf(w, "  %s [label=<<TABLE BORDER=\"1\" CELLBORDER=\"0\" CELLSPACING=\"0\" CELLPADDING=\"3\"><TR><TD PORT=\"h\" BGCOLOR=\"%s\"><B>%s</B></TD></TR>",
			dotName(i), colors[c.object.Class], markup(c.head))
		for i, l := range c.lines {
			fmt.Fprintf(w, "<TR><TD PORT=\"r%d\" ALIGN=\"LEFT\">%s</TD></TR>", i, markup(l.label()))
		}
		fmt.Fprint(w, "</TABLE>>];\n")
	}
	for i, c := range list {
		for _, l := range c.links {
			style := ""
			if l.weak {
				style = " [style=dashed]"
			}
			fmt.Fprintf(w, "  %s:r%d -> %s:h%s;\n", dotName(i), l.line, dotName(number[l.to]), style)
		}
	}
	fmt.Fprint(w, "}\n")
	return w.Flush()
}

func dotName(i int) string { return fmt.Sprintf("o%d", i) }

// markup escapes text for SVG, HTML and the labels of DOT.
func markup(s string) string { return html.EscapeString(clean(s)) }
