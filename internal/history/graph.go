package history

import (
	"fmt"
	"slices"
	"strings"
)

// edge kinds, one bit each, so that a set of them is a number.
type edgeKind uint8

const (
	ww       edgeKind = 1 << iota // wrote what the other wrote over
	wr                            // wrote what the other read
	rw                            // read what the other wrote over (anti-dependency)
	via                           // second half of an edge that goes through a helper node
	process                       // returned before the other was called, same client
	realtime                      // returned before the other was called
	allEdges edgeKind = 1<<iota - 1
)

func (k edgeKind) String() string {
	switch k {
	case ww:
		return "ww"
	case wr:
		return "wr"
	case rw:
		return "rw"
	case process:
		return "process"
	case realtime:
		return "realtime"
	default:
		return ""
	}
}

type edge struct {
	from, to int32
	kind     edgeKind
	key      int64
}

// graph of transactions, which are the first nodes, and helper nodes.
type graph struct {
	nodes int
	edges []edge
	first []int32 // of a node's edges, once they are sorted by index
}

func (g *graph) node() int { g.nodes++; return g.nodes - 1 }

func (g *graph) add(from, to int, kind edgeKind, key int64) {
	g.edges = append(g.edges, edge{int32(from), int32(to), kind, key})
}

// index sorts the edges by where they begin (a counting sort).
func (g *graph) index() {
	g.first = make([]int32, g.nodes+1)
	for _, e := range g.edges {
		g.first[e.from+1]++
	}
	for i := range g.nodes {
		g.first[i+1] += g.first[i]
	}
	sorted := make([]edge, len(g.edges))
	next := slices.Clone(g.first)
	for _, e := range g.edges {
		sorted[next[e.from]] = e
		next[e.from]++
	}
	g.edges = sorted
}

func (g *graph) out(n int32) []edge { return g.edges[g.first[n]:g.first[n+1]] }

// components returns the strongly connected components of more than one node
// (Tarjan's algorithm, without recursion), using edges of some kinds only, and
// only those among the members (nil: all nodes).
func (g *graph) components(members []int32, kinds edgeKind) [][]int32 {
	t := tarjan{graph: g, kinds: kinds, state: make(map[int32]nodeState)}
	if members == nil {
		t.dense = make([]nodeState, g.nodes)
		for n := range int32(g.nodes) {
			t.visit(n)
		}
		return t.found
	}
	for _, n := range members {
		t.state[n] = nodeState{}
	}
	for _, n := range members {
		t.visit(n)
	}
	return t.found
}

type nodeState struct {
	number, low int32 // 0: not visited
	stacked     bool
}

type tarjan struct {
	*graph
	kinds  edgeKind
	dense  []nodeState // of all nodes, or nil:
	state  map[int32]nodeState
	count  int32
	stack  []int32
	frames []frame
	found  [][]int32
}

type frame struct {
	node int32
	next int32 // edge to look at
}

func (t *tarjan) get(n int32) (s nodeState, member bool) {
	if t.dense != nil {
		return t.dense[n], true
	}
	s, member = t.state[n]
	return s, member
}

func (t *tarjan) set(n int32, s nodeState) {
	if t.dense != nil {
		t.dense[n] = s
		return
	}
	t.state[n] = s
}

func (t *tarjan) enter(n int32) {
	t.count++
	t.set(n, nodeState{t.count, t.count, true})
	t.stack = append(t.stack, n)
	t.frames = append(t.frames, frame{n, t.first[n]})
}

func (t *tarjan) visit(root int32) {
	if s, _ := t.get(root); s.number != 0 {
		return
	}
	t.enter(root)
	for len(t.frames) > 0 {
		f := &t.frames[len(t.frames)-1]
		if f.next < t.first[f.node+1] {
			e := t.edges[f.next]
			f.next++
			t.look(f.node, e)
			continue
		}
		done := f.node
		t.frames = t.frames[:len(t.frames)-1]
		s, _ := t.get(done)
		if len(t.frames) > 0 {
			t.lower(t.frames[len(t.frames)-1].node, s.low)
		}
		if s.low == s.number {
			t.pop(done)
		}
	}
}

func (t *tarjan) look(from int32, e edge) {
	if e.kind&t.kinds == 0 {
		return
	}
	switch s, member := t.get(e.to); {
	case !member:
	case s.number == 0:
		t.enter(e.to)
	case s.stacked:
		t.lower(from, s.number)
	}
}

func (t *tarjan) lower(n, low int32) {
	if s, _ := t.get(n); low < s.low {
		s.low = low
		t.set(n, s)
	}
}

// pop takes a finished component from the stack.
func (t *tarjan) pop(root int32) {
	at := len(t.stack) - 1
	for t.stack[at] != root {
		at--
	}
	for _, n := range t.stack[at:] {
		s, _ := t.get(n)
		s.stacked = false
		t.set(n, s)
	}
	if len(t.stack)-at > 1 {
		t.found = append(t.found, slices.Clone(t.stack[at:]))
	}
	t.stack = t.stack[:at]
}

// levels are sets of edges, the plainest anomaly first.
var levels = []edgeKind{
	ww | via,
	ww | wr | via,
	ww | wr | rw | via,
	ww | wr | via | process,
	ww | wr | rw | via | process,
	ww | wr | via | realtime,
	allEdges,
}

// explain finds the plainest cycle in a component and names it.
func (g *graph) explain(members []int32, txns []Txn) (Anomaly, bool) {
	for _, kinds := range levels {
		for _, inner := range g.components(members, kinds) {
			if c := g.cycle(inner, kinds); c != nil {
				return nameCycle(c, txns), true
			}
		}
	}
	return Anomaly{}, false
}

// starts limits from how many nodes of one component a cycle is looked for,
// and steps how many edges are followed for it.
const (
	starts = 256
	steps  = 4 << 20
)

// cycle returns a cycle with as few anti-dependencies as possible, and among
// those a short one.
func (g *graph) cycle(members []int32, kinds edgeKind) []edge {
	inside := make(map[int32]bool, len(members))
	for _, n := range members {
		inside[n] = true
	}
	var best []edge
	budget := steps
	for _, n := range members[:min(len(members), starts)] {
		c := g.around(n, inside, kinds, &budget)
		if c != nil && (best == nil || weight(c) < weight(best)) {
			best = c
		}
		if budget < 0 {
			break
		}
	}
	return best
}

func weight(c []edge) int {
	n := len(c)
	for _, e := range c {
		if e.kind == rw {
			n += 1 << 20
		}
	}
	return n
}

// around finds the cycle through one node with the fewest anti-dependencies:
// it searches breadth first, level by level of their number.
func (g *graph) around(start int32, inside map[int32]bool, kinds edgeKind, budget *int) []edge {
	came := make(map[int32]edge)
	now, later := []int32{start}, []int32(nil)
	closing := func(e edge) []edge {
		c := []edge{e}
		for n := e.from; n != start; n = c[len(c)-1].from {
			c = append(c, came[n])
		}
		slices.Reverse(c)
		return c
	}
	pending := make(map[int32]edge) // reached by one anti-dependency more
	for len(now) > 0 && *budget >= 0 {
		for i := 0; i < len(now); i++ {
			for _, e := range g.out(now[i]) {
				*budget--
				if e.kind&kinds == 0 || !inside[e.to] || e.kind == rw {
					continue
				}
				if e.to == start {
					return closing(e)
				}
				if _, been := came[e.to]; !been {
					came[e.to] = e
					now = append(now, e.to)
				}
			}
		}
		later = later[:0]
		for _, n := range now {
			for _, e := range g.out(n) {
				if e.kind != rw || kinds&rw == 0 || !inside[e.to] {
					continue
				}
				if _, been := came[e.to]; !been && e.to != start {
					came[e.to] = e
					later = append(later, e.to)
				} else if e.to == start {
					pending[start] = e
				}
			}
		}
		if e, ok := pending[start]; ok {
			return closing(e)
		}
		now, later = slices.Clone(later), now
	}
	return nil
}

// nameCycle gives a cycle its name.
func nameCycle(c []edge, txns []Txn) Anomaly {
	whole := c
	c = slices.DeleteFunc(slices.Clone(c), func(e edge) bool { return e.kind == via })
	anti, adjacent := 0, false
	var outside edgeKind
	for i, e := range c {
		outside |= e.kind & (process | realtime)
		if e.kind == rw {
			anti++
		}
		adjacent = adjacent || e.kind == rw && c[(i+1)%len(c)].kind == rw
	}
	a := Anomaly{Key: c[0].key}
	switch {
	case anti == 0 && !slices.ContainsFunc(c, func(e edge) bool { return e.kind == wr }):
		a.Name = G0
	case anti == 0:
		a.Name = G1c
	case anti == 1:
		a.Name = GSingle
	case adjacent:
		a.Name = G2
	default:
		a.Name = GNonadjacent
	}
	a.Class = string(a.Name)
	switch {
	case outside&realtime != 0:
		a.Class += "-realtime"
	case outside&process != 0:
		a.Class += "-process"
	}
	switch {
	case outside != 0 && anti == 1:
		a.Name = StaleRead
	case outside != 0:
		a.Name = RealTime
	case len(c) == 2 && a.Name == GSingle && c[0].kind|c[1].kind == ww|rw && c[0].key == c[1].key:
		a.Name = LostUpdate
	case len(c) == 2 && a.Name == G2 && c[0].key == c[1].key:
		a.Name = LostUpdate // both unseen, after one and the same read
	case len(c) == 2 && a.Name == G2:
		a.Name = WriteSkew
	case len(c) == 4 && a.Name == GNonadjacent && anti == 2:
		a.Name = LongFork
	}
	a.describe(whole, txns)
	return a
}

func (a *Anomaly) describe(c []edge, txns []Txn) {
	var b strings.Builder
	for _, e := range c {
		if int(e.from) < len(txns) {
			a.Txns = append(a.Txns, txns[e.from].ID)
			fmt.Fprintf(&b, "%s ", txns[e.from].ID)
		}
		switch {
		case e.kind == via || int(e.from) >= len(txns):
		case e.kind&(process|realtime) != 0:
			fmt.Fprintf(&b, "-%s-> ", e.kind)
		default:
			fmt.Fprintf(&b, "-%s[%d]-> ", e.kind, e.key)
		}
	}
	if len(a.Txns) > 0 {
		b.WriteString(a.Txns[0].String())
	}
	a.Detail = b.String()
}
