package durus

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// drawOther draws an operation on the list or the counter.
func drawOther(r *rapid.T, a *actor, committed *world) treeOp {
	snap, sees := a.snapshot(committed), a.sees(committed)
	v := fmt.Sprint("x", rapid.IntRange(0, 2).Draw(r, "value"))
	length := func() {
		a.read(snap, "length of the list", func(w *world) string { return fmt.Sprint(len(w.log)) })
	}
	index := func(i int) {
		a.read(snap, fmt.Sprintf("index %d", i), func(w *world) string {
			if i < len(w.log) {
				return w.log[i]
			}
			return "none"
		})
	}
	// touch notes that an index was looked at.
	touch := func(i int) {
		_, set := a.sets[i]
		switch {
		case a.moved != nil || set: // a serial run tells
		case i < len(snap.log):
			index(i)
		default:
			length()
		}
	}
	kinds := []string{"append", "append", "listget", "listlen", "listall", "listback", "add", "add", "value"}
	if a.tx != nil && len(sees.log) > 0 {
		kinds = append(kinds, "set", "set", "listinsert", "listdelete")
	}
	i := rapid.IntRange(0, len(sees.log)+2).Draw(r, "index")
	switch kind := rapid.SampledFrom(kinds).Draw(r, "other"); kind {
	case "append":
		if a.moved != nil {
			a.moved = append(a.moved, v)
		} else {
			a.appended = append(a.appended, v)
		}
		return treeOp{"append " + v, func(s Session, sh *shelf) string { return fmt.Sprint(sh.Log.Append(s, v)) },
			func(w *world) string { w.log = append(w.log, v); return "<nil>" }}
	case "listget":
		touch(i)
		return treeOp{fmt.Sprint("get index ", i), func(s Session, sh *shelf) string {
			v, err := sh.Log.Get(s, i)
			if errors.Is(err, ErrNotFound) {
				return "none"
			}
			return Must(v, err)
		}, func(w *world) string {
			if i < len(w.log) {
				return w.log[i]
			}
			return "none"
		}}
	case "listlen":
		length()
		return treeOp{"length of the list", func(s Session, sh *shelf) string { return fmt.Sprint(Must(sh.Log.Len(s))) },
			func(w *world) string { return fmt.Sprint(len(w.log)) }}
	case "listall":
		for i := range sees.log {
			touch(i)
		}
		length()
		return treeOp{"all of the list", func(s Session, sh *shelf) string {
			var out []string
			for i, v := range sh.Log.All(s) {
				out = append(out, fmt.Sprint(i, v))
			}
			return strings.Join(out, " ")
		}, func(w *world) string {
			var out []string
			for i, v := range w.log {
				out = append(out, fmt.Sprint(i, v))
			}
			return strings.Join(out, " ")
		}}
	case "listback":
		length()
		for j := max(0, len(sees.log)-3); j < len(sees.log); j++ {
			touch(j)
		}
		return treeOp{"the end of the list", func(s Session, sh *shelf) string {
			var out []string
			for i, v := range sh.Log.Backward(s) {
				if out = append(out, fmt.Sprint(i, v)); len(out) == 3 {
					break
				}
			}
			return strings.Join(out, " ")
		}, func(w *world) string {
			var out []string
			for i := len(w.log) - 1; i >= 0 && len(out) < 3; i-- {
				out = append(out, fmt.Sprint(i, w.log[i]))
			}
			return strings.Join(out, " ")
		}}
	case "add":
		n := int64(rapid.IntRange(-2, 2).Draw(r, "delta"))
		a.delta += n
		return treeOp{fmt.Sprint("add ", n), func(s Session, sh *shelf) string { return fmt.Sprint(sh.Hits.Add(s, n)) },
			func(w *world) string { w.hits += n; return "<nil>" }}
	case "value":
		a.read(snap, "the counter", func(w *world) string { return fmt.Sprint(w.hits) })
		return treeOp{"value", func(s Session, sh *shelf) string { return fmt.Sprint(Must(sh.Hits.Value(s))) },
			func(w *world) string { return fmt.Sprint(w.hits) }}
	case "set":
		i = min(i, len(sees.log)-1)
		_, set := a.sets[i]
		switch {
		case a.moved != nil:
			a.moved[i] = v
		case i >= len(snap.log): // appended by itself: where that is depends on the length
			length()
			a.appended[i-len(snap.log)] = v
		default:
			if a.sets == nil {
				a.sets, a.setWas = map[int]string{}, map[int]string{}
			}
			if !set {
				a.setWas[i] = snap.log[i]
			}
			a.sets[i] = v
		}
		return treeOp{fmt.Sprint("set ", i, v), func(s Session, sh *shelf) string { return fmt.Sprint(sh.Log.Set(s, i, v)) },
			func(w *world) string {
				if i >= len(w.log) {
					return "outside"
				}
				w.log[i] = v
				return "<nil>"
			}}
	default: // values are moved
		if kind == "listinsert" {
			i = min(i, len(sees.log))
			a.moved = slices.Insert(sees.log, i, v)
		} else {
			i = min(i, len(sees.log)-1)
			a.moved = slices.Delete(sees.log, i, i+1)
		}
		if a.moved == nil {
			a.moved = []string{}
		}
		return treeOp{fmt.Sprint(kind, i, v), func(s Session, sh *shelf) string {
			if kind == "listinsert" {
				return fmt.Sprint(sh.Log.Insert(s, i, v))
			}
			return fmt.Sprint(sh.Log.Delete(s, i))
		}, func(w *world) string {
			switch {
			case kind == "listinsert" && i <= len(w.log):
				w.log = slices.Insert(w.log, i, v)
			case kind != "listinsert" && i < len(w.log):
				w.log = slices.Delete(w.log, i, i+1)
			default:
				return "outside"
			}
			return "<nil>"
		}}
	}
}
