package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/cmd/durusctl/picture"
	"github.com/durusdb/durus/storage"
)

// graphFormat is a way to draw.
type graphFormat struct {
	name    string
	limit   int  // objects, unless something else is asked for
	rows    int  // values of an object
	history bool // with the transactions that wrote each object
	write   func(*picture.Graph, io.Writer) error
}

var graphFormats = []graphFormat{
	{"dot", 200, 12, false, (*picture.Graph).DOT},
	{"svg", 60, 12, false, (*picture.Graph).SVG},
	{"html", 2000, 60, true, (*picture.Graph).HTML},
}

// maxGraph is how many objects may be asked for: all of them are in memory.
const maxGraph = 100_000

type graphQuery struct {
	root   string // an object or the name of a root; "": the root directory
	depth  int    // references from there; -1: any number
	limit  int    // objects
	format graphFormat
}

func (a *app) graphCommand() *cobra.Command {
	var q graphQuery
	var format string
	cmd := fileArgs(&cobra.Command{
		Use:   "graph FILE [--root OID] [--depth N] [--limit N] [--format NAME]",
		Short: "A picture of objects and references",
		Long: `Draw the objects that a root leads to, nearest first, and their references: as
text for Graphviz (dot), as a picture for print (svg), or as a page to look
around in (html): one file that needs no network, with search, fields, referrers
and history. A container is one object, with its first entries in place of its
nodes. What --depth and --limit leave out is told in the picture.

With --json: title, notes and objects, each with id, class, about, rows (name,
text, to, weak), more (rows left out), and history and older (there is more of
it) as --format html has it.`,
		Example: `  durusctl graph bank.durus --format html >bank.html
  durusctl graph bank.durus --root 17 --depth 2 --format svg >account.svg
  durusctl graph bank.durus | dot -Tpdf >bank.pdf`,
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.IndexFunc(graphFormats, func(f graphFormat) bool { return f.name == format })
			if i < 0 {
				return usageError{fmt.Sprintf("--format %s: there are dot, svg and html", format), cmd.CommandPath()}
			}
			q.format = graphFormats[i]
			if q.root != "" {
				if err := checkTarget(cmd, q.root); err != nil {
					return err
				}
			}
			if q.depth < -1 || cmd.Flags().Changed("depth") && q.depth < 0 {
				return usageError{"--depth must not be negative", cmd.CommandPath()}
			}
			if q.limit < 0 || q.limit > maxGraph {
				return usageError{fmt.Sprintf("--limit goes from 1 to %d; 0 is that of the format", maxGraph), cmd.CommandPath()}
			}
			q.limit = cmp.Or(q.limit, q.format.limit)
			return a.graph(cmd.Context(), args[0], q)
		},
	}, 0)
	cmd.Flags().StringVar(&q.root, "root", "", "begin at this object, by `OID` or root name")
	cmd.Flags().IntVar(&q.depth, "depth", -1, "follow references at most `N` steps")
	cmd.Flags().IntVar(&q.limit, "limit", 0, "at most `N` objects; 0: dot 200, svg 60, html 2000")
	cmd.Flags().StringVar(&format, "format", "dot", "`NAME` of the format: dot, svg, html")
	cmd.Flags().Lookup("depth").DefValue = "any"
	cmd.Flags().Lookup("limit").DefValue = "0"
	complete(cmd, "format", func(_ *cobra.Command, _ []string, _ string) []string { return []string{"dot", "svg", "html"} })
	complete(cmd, "root", func(c *cobra.Command, args []string, begun string) []string {
		if len(args) == 0 {
			return nil
		}
		return objectNames(c, args[0], begun)
	})
	return cmd
}

// complete lets a shell complete the value of a flag.
func complete(cmd *cobra.Command, flag string, words func(cmd *cobra.Command, args []string, begun string) []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		return words(c, args, begun), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag is not one of the command's
	}
}

func (a *app) graph(ctx context.Context, path string, q graphQuery) error {
	v, err := a.view(ctx, path)
	if err != nil {
		return err
	}
	defer v.close()
	start := rootOID
	if q.root != "" {
		if start, err = v.target(q.root); err != nil {
			return err
		}
	}
	if _, err := v.snap.Find(start); errors.Is(err, storage.ErrNotFound) {
		if q.root == "" && v.damage == nil {
			return explain(err, path+" has no root directory: name an object with --root, durusctl log tells which there are")
		}
		return v.missing(start)
	} else if err != nil {
		return err
	}
	s := sketch{view: v, graphQuery: q, level: map[storage.OID]int{start: 0}, writers: make(map[storage.TID]*writer)}
	s.graph.Title = filepath.Base(path)
	if q.root != "" {
		s.graph.Title += ", from " + plain(strings.TrimSpace(q.root))
	}
	bar := a.progress("graph")
	bar.unit = objectCount
	err = s.draw(ctx, start, bar)
	bar.end()
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(&s.graph)
	} else {
		err = q.format.write(&s.graph, a.out)
	}
	if err != nil {
		return err
	}
	for _, n := range s.graph.Notes {
		a.note("%s", n)
	}
	return a.incomplete(v, s.unreadable)
}
