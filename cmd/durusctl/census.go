package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

func (a *app) censusCommand() *cobra.Command {
	return fileArgs(&cobra.Command{
		Use:   "census FILE [--json]",
		Short: "Which classes the objects are of, and what they take",
		Long: `Count objects and their bytes by class. A container is one object of class
durus.BTree, Dict, Set or List; its nodes and the counters of its length are not
counted as objects, their bytes are the container's. Bytes are those of newest
states, header and references included. Objects that nothing leads to count
until a pack removes them.

With --json: objects, nodes, bytes, unreadable and classes, those with the most
bytes first, each with class, version (absent: none), objects, nodes, bytes,
share (of all bytes, 0 to 1), average (bytes), largest (bytes) and largest_oid.`,
		Example: `  durusctl census bank.durus
  durusctl census bank.durus --json | jq '.classes[0].largest_oid'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.census(cmd.Context(), args[0])
		},
	}, 0)
}

type censusJSON struct {
	Objects    uint64       `json:"objects"`
	Nodes      uint64       `json:"nodes"` // of containers, besides their heads
	Bytes      int64        `json:"bytes"`
	Unreadable uint64       `json:"unreadable"`
	Classes    []censusLine `json:"classes"`
}

type censusLine struct {
	Class      string      `json:"class"`
	Version    int         `json:"version,omitempty"`
	Objects    uint64      `json:"objects"`
	Nodes      uint64      `json:"nodes"`
	Bytes      int64       `json:"bytes"`
	Share      float64     `json:"share"`
	Average    int64       `json:"average"`
	Largest    int64       `json:"largest"`
	LargestOID storage.OID `json:"largest_oid"`
}

func (a *app) census(ctx context.Context, path string) error {
	v, err := a.view(ctx, path)
	if err != nil {
		return err
	}
	defer v.close()
	c := census{view: v, lines: make(map[string]*censusLine), whole: make(map[storage.OID]*extent), counters: make(map[storage.OID]int64), parts: make(map[storage.OID]storage.OID)}
	unreadable, err := v.each(ctx, a.progress("census"), c.add)
	if err != nil {
		return err
	}
	j := c.result()
	j.Unreadable = unreadable
	if a.json {
		err = a.printJSON(j)
	} else {
		a.printCensus(j)
	}
	if err == nil {
		err = a.incomplete(v, unreadable)
	}
	return err
}

// census counts. It keeps a line for each class, an extent for each container that
// has more nodes than its head, and the size of each counter: whether a counter is
// the length of a tree, only the tree tells.
type census struct {
	*view
	lines    map[string]*censusLine
	whole    map[storage.OID]*extent
	counters map[storage.OID]int64
	parts    map[storage.OID]storage.OID // counters of the lengths of trees, with the head
}

// extent is what a container takes, nodes and counters included.
type extent struct {
	class string // "": the head is not known
	nodes uint64
	bytes int64
}

func (c *census) add(rec *storage.Record) error {
	class, size := c.class(rec.Class), filestorage.RecordSize(rec)
	switch {
	case class == collection.ClassNode:
		if head, ok := c.headOf(rec); ok {
			c.extent(head).add(size)
			return nil
		}
	case class == collection.ClassCounter:
		c.counters[rec.OID] = size
		return nil
	case collection.IsHead(class):
		if n, err := collection.Parse(rec.Payload); err == nil && n.Level > 0 {
			e := c.extent(rec.OID)
			e.class = class
			e.bytes += size
			for _, counter := range n.Lengths {
				c.parts[storage.OID(counter)] = rec.OID
			}
			return nil
		}
	}
	c.line(class).add(rec.OID, size)
	return nil
}

func (c *census) extent(head storage.OID) *extent {
	e := c.whole[head]
	if e == nil {
		e = new(extent)
		c.whole[head] = e
	}
	return e
}

func (e *extent) add(size int64) {
	e.nodes++
	e.bytes += size
}

func (c *census) line(spelling string) *censusLine {
	l := c.lines[spelling]
	if l == nil {
		l = &censusLine{}
		l.Class, l.Version = storage.SplitClass(spelling)
		c.lines[spelling] = l
	}
	return l
}

func (l *censusLine) add(oid storage.OID, size int64) {
	l.Objects++
	l.Bytes += size
	if size > l.Largest || size == l.Largest && oid < l.LargestOID {
		l.Largest, l.LargestOID = size, oid
	}
}

// result adds up.
func (c *census) result() *censusJSON {
	for oid, size := range c.counters {
		if head, ok := c.parts[oid]; ok {
			c.whole[head].add(size)
		} else {
			c.line(collection.ClassCounter).add(oid, size)
		}
	}
	for oid, e := range c.whole {
		if e.class == "" { // nodes whose head is gone, as long as no pack has removed them
			l := c.line(collection.ClassNode)
			l.Objects += e.nodes
			l.Bytes += e.bytes
			continue
		}
		l := c.line(e.class)
		l.Nodes += e.nodes
		l.add(oid, e.bytes)
	}
	j := &censusJSON{Classes: []censusLine{}}
	for _, l := range c.lines {
		l.Average = l.Bytes / int64(l.Objects)
		j.Objects += l.Objects
		j.Nodes += l.Nodes
		j.Bytes += l.Bytes
		j.Classes = append(j.Classes, *l)
	}
	for i := range j.Classes {
		j.Classes[i].Share = math.Round(float64(j.Classes[i].Bytes)/float64(j.Bytes)*1e4) / 1e4
	}
	slices.SortFunc(j.Classes, func(a, b censusLine) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Version, b.Version))
	})
	return j
}

func (a *app) printCensus(j *censusJSON) {
	t := table{
		header: []string{"CLASS", "OBJECTS", "NODES", "BYTES", "SHARE", "AVERAGE", "LARGEST", "OID"},
		right:  map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true},
		spare:  []int{5, 2, 6, 7, 4},
	}
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	nodes := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return number(n)
	}
	for _, l := range j.Classes {
		name := plain(l.Class)
		if l.Version > 0 {
			name += " version " + versionText(l.Version)
		}
		t.add(name, number(l.Objects), nodes(l.Nodes), shortSize(l.Bytes), fmt.Sprintf("%.1f %%", 100*l.Share), shortSize(l.Average), shortSize(l.Largest), l.LargestOID.String())
	}
	t.add("all", number(j.Objects), nodes(j.Nodes), shortSize(j.Bytes), "", "", "", "")
	a.printTable(&t)
}
