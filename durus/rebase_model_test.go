package durus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// world is the model of a shelf: what each of its containers holds. Trees are
// Numbers, Dict and Tags, with the same keys.
type world struct {
	trees [3]map[int]string
	log   []string
	hits  int64
}

func (w *world) clone() *world {
	c := &world{log: slices.Clone(w.log), hits: w.hits}
	for i := range w.trees {
		c.trees[i] = maps.Clone(w.trees[i])
	}
	return c
}

func (w *world) equal(o *world) bool {
	for i := range w.trees {
		if !maps.Equal(w.trees[i], o.trees[i]) {
			return false
		}
	}
	return slices.Equal(w.log, o.log) && w.hits == o.hits
}

// within are the keys of a tree from <= k < to, in order.
func (w *world) within(tree, from, to int) (keys []int) {
	for _, k := range slices.Sorted(maps.Keys(w.trees[tree])) {
		if k >= from && k < to {
			keys = append(keys, k)
		}
	}
	return keys
}

// modelRead is something that a session has read: it conflicts if what it gives
// in the newest state is something else.
type modelRead struct {
	what string
	ask  func(w *world) string
	was  string
}

// actor is a session and what the model knows of it.
type actor struct {
	tx   *Tx
	conn *Connection
	base *world   // the snapshot of a transaction, or of a connection that is paused
	past []*world // the states since it began

	writes   [3]map[int]*string // what becomes of a key; nil: it goes
	first    [3]map[int]string  // what it was when the key was written first
	appended []string
	sets     map[int]string
	setWas   map[int]string
	delta    int64
	moved    []string // the log, once values were moved; transactions only
	reads    []modelRead
	ops      []func(w *world) string // what it did, for a serial run
	seen     []string                // what that gave
	names    []string
}

func (a *actor) session() Session {
	if a.tx != nil {
		return a.tx
	}
	return a.conn
}

func valueIn(w *world, tree, k int) string {
	if v, ok := w.trees[tree][k]; ok {
		return "=" + v
	}
	return "none"
}

// snapshot is what the session sees of others.
func (a *actor) snapshot(committed *world) *world {
	if a.base != nil {
		return a.base
	}
	return committed
}

// sees is what the session sees, its own writes included.
func (a *actor) sees(committed *world) *world {
	w := a.snapshot(committed).clone()
	a.apply(w)
	if a.moved != nil {
		w.log = slices.Clone(a.moved)
	}
	return w
}

// apply applies the writes, but for moves.
func (a *actor) apply(w *world) {
	for t := range a.writes {
		for k, v := range a.writes[t] {
			if v == nil {
				delete(w.trees[t], k)
			} else {
				w.trees[t][k] = *v
			}
		}
	}
	for i, v := range a.sets {
		if i < len(w.log) {
			w.log[i] = v
		}
	}
	w.log = append(w.log, a.appended...)
	w.hits += a.delta
}

// read notes a read.
func (a *actor) read(w *world, what string, ask func(w *world) string) {
	a.reads = append(a.reads, modelRead{what, ask, ask(w)})
}

func (a *actor) write(w *world, tree, k int, v *string) {
	if a.writes[tree] == nil {
		a.writes[tree], a.first[tree] = map[int]*string{}, map[int]string{}
	}
	if _, ok := a.writes[tree][k]; !ok {
		a.first[tree][k] = valueIn(w, tree, k)
	}
	a.writes[tree][k] = v
}

// conflict is what the model says about a commit on now: "" for none.
func (a *actor) conflict(now *world, isolation Isolation) string {
	for t := range a.writes {
		for k, v := range a.writes[t] {
			is, mine := valueIn(now, t, k), "none"
			if v != nil {
				mine = "=" + *v
			}
			if is != a.first[t][k] && is != mine {
				return fmt.Sprintf("both wrote key %d of tree %d", k, t)
			}
		}
	}
	for i, v := range a.sets {
		if i >= len(now.log) || now.log[i] != a.setWas[i] && now.log[i] != v {
			return fmt.Sprintf("both set index %d", i)
		}
	}
	if isolation == SnapshotIsolation {
		return ""
	}
	for _, r := range a.reads {
		if r.ask(now) != r.was {
			return r.what + " was read"
		}
	}
	return ""
}

// treeOp is an operation on one of the trees, of the session and of the model.
type treeOp struct {
	name  string
	real  func(s Session, sh *shelf) string
	model func(w *world) string
}

func str2(k int) string { return fmt.Sprintf("k%03d", k) }

func found(ok bool, err error) string { return fmt.Sprint(ok, Must(0, err)) }

// drawTreeOp draws an operation, and enters what it reads and writes into a.
func drawTreeOp(r *rapid.T, a *actor, committed *world) treeOp {
	tree := rapid.IntRange(0, 2).Draw(r, "tree")
	k := rapid.IntRange(0, 40).Draw(r, "key")
	v := ""
	if tree != 2 {
		v = fmt.Sprint(rapid.IntRange(0, 2).Draw(r, "value"))
	}
	snap, sees := a.snapshot(committed), a.sees(committed)
	_, own := a.writes[tree][k]
	readKey := func() {
		if !own {
			a.read(snap, fmt.Sprintf("key %d of tree %d", k, tree), func(w *world) string { return valueIn(w, tree, k) })
		}
	}
	number := func(v string) (n int64) { _, _ = fmt.Sscan(v, &n); return n }
	switch kind := rapid.SampledFrom([]string{"put", "put", "put", "insert", "delete", "get", "len", "range", "edge"}).Draw(r, "op"); kind {
	case "put":
		a.write(snap, tree, k, &v)
		return treeOp{fmt.Sprintf("put %d %d %s", tree, k, v), func(s Session, sh *shelf) string {
			return fmt.Sprint([]func() error{
				func() error { return sh.Numbers.Put(s, k, v) },
				func() error { return sh.Dict.Put(s, str2(k), number(v)) },
				func() error { return sh.Tags.Add(s, str2(k)) },
			}[tree]())
		}, func(w *world) string { w.trees[tree][k] = v; return "<nil>" }}
	case "insert", "delete":
		readKey()
		_, there := sees.trees[tree][k]
		if kind == "insert" && tree != 2 {
			if !there {
				a.write(snap, tree, k, &v)
			}
			return treeOp{fmt.Sprintf("insert %d %d %s", tree, k, v), func(s Session, sh *shelf) string {
				if tree == 0 {
					return found(sh.Numbers.Insert(s, k, v))
				}
				return found(sh.Dict.Insert(s, str2(k), number(v)))
			}, func(w *world) string {
				_, there := w.trees[tree][k]
				if !there {
					w.trees[tree][k] = v
				}
				return found(!there, nil)
			}}
		}
		if there {
			a.write(snap, tree, k, nil)
		}
		return treeOp{fmt.Sprintf("delete %d %d", tree, k), func(s Session, sh *shelf) string {
			switch tree {
			case 0:
				return found(sh.Numbers.Delete(s, k))
			case 1:
				return found(sh.Dict.Delete(s, str2(k)))
			}
			return found(sh.Tags.Delete(s, str2(k)))
		}, func(w *world) string {
			_, there := w.trees[tree][k]
			delete(w.trees[tree], k)
			return found(there, nil)
		}}
	case "get":
		readKey()
		return treeOp{fmt.Sprintf("get %d %d", tree, k), func(s Session, sh *shelf) string {
			switch tree {
			case 0:
				if v, ok := Must2(sh.Numbers.Get(s, k)); ok {
					return "=" + v
				}
			case 1:
				if v, ok := Must2(sh.Dict.Get(s, str2(k))); ok {
					return fmt.Sprint("=", v)
				}
			case 2:
				if Must(sh.Tags.Has(s, str2(k))) {
					return "="
				}
			}
			return "none"
		}, func(w *world) string { return valueIn(w, tree, k) }}
	case "len":
		blind := slices.Sorted(maps.Keys(a.writes[tree]))
		a.read(snap, fmt.Sprintf("length of tree %d", tree), func(w *world) string {
			out := fmt.Sprint(len(w.trees[tree]))
			for _, k := range blind {
				_, there := w.trees[tree][k]
				out += fmt.Sprint(there)
			}
			return out
		})
		return treeOp{fmt.Sprintf("len %d", tree), func(s Session, sh *shelf) string {
			switch tree {
			case 0:
				return fmt.Sprint(Must(sh.Numbers.Len(s)))
			case 1:
				return fmt.Sprint(Must(sh.Dict.Len(s)))
			}
			return fmt.Sprint(Must(sh.Tags.Len(s)))
		}, func(w *world) string { return fmt.Sprint(len(w.trees[tree])) }}
	}
	// A walk: from..to, up or down, with an end after some steps.
	from, to := k, rapid.IntRange(-5, 45).Draw(r, "to")
	back := rapid.Bool().Draw(r, "back")
	form := rapid.SampledFrom([]string{"all", "range", "from", "before"}).Draw(r, "form")
	steps := rapid.IntRange(1, 12).Draw(r, "steps")
	switch {
	case tree == 1:
		form, back, steps = "all", false, 1000
	case form == "range" || form == "from":
		back = false
	case form == "before":
		back = true
	}
	lo, hi := -1000, 1000
	switch form {
	case "range":
		lo, hi = from, to
	case "from":
		lo = from
	case "before":
		hi = from
	}
	keysOf := func(w *world) []int {
		keys := w.within(tree, lo, hi)
		if back {
			slices.Reverse(keys)
		}
		return keys[:min(steps, len(keys))]
	}
	visited := keysOf(sees)
	readLo, readHi := lo, hi // what of it is read: up to the last key that came
	if len(visited) == steps {
		if last := visited[steps-1]; back {
			readLo = last
		} else {
			readHi = last + 1
		}
	}
	a.read(snap, fmt.Sprintf("range %d to %d of tree %d", readLo, readHi, tree), func(w *world) string {
		out := ""
		for _, k := range w.within(tree, readLo, readHi) {
			out += fmt.Sprint(k, "=", w.trees[tree][k], " ")
		}
		return out
	})
	return treeOp{fmt.Sprintf("walk %d %s %d %d back %v %d steps", tree, form, from, to, back, steps), func(s Session, sh *shelf) string {
		var out []string
		visit := func(k, v string) bool { out = append(out, k+"="+v); return len(out) < steps }
		switch tree {
		case 0:
			all := sh.Numbers.All(s)
			switch {
			case form == "range":
				all = sh.Numbers.Range(s, from, to)
			case form == "from":
				all = sh.Numbers.From(s, from)
			case form == "before":
				all = sh.Numbers.Before(s, from)
			case back:
				all = sh.Numbers.Backward(s)
			}
			for k, v := range all {
				if !visit(str2(k), v) {
					break
				}
			}
		case 1:
			for k, v := range sh.Dict.All(s) {
				visit(k, fmt.Sprint(v))
			}
			slices.Sort(out) // the order means nothing
		case 2:
			all := sh.Tags.All(s)
			switch {
			case form == "range":
				all = sh.Tags.Range(s, str2(from), bound(to))
			case form == "from":
				all = sh.Tags.From(s, str2(from))
			case form == "before":
				all = sh.Tags.Before(s, str2(from))
			case back:
				all = sh.Tags.Backward(s)
			}
			for k := range all {
				if !visit(k, "") {
					break
				}
			}
		}
		return fmt.Sprint(out, s.Err())
	}, func(w *world) string {
		out := []string{}
		for _, k := range keysOf(w) {
			out = append(out, str2(k)+"="+w.trees[tree][k])
		}
		return fmt.Sprint(out, nil)
	}}
}

// bound is str2 for keys below 0, too.
func bound(k int) string {
	if k < 0 {
		return ""
	}
	return str2(k)
}

// Sessions of several handles that are open at the same time, transactions and
// live connections, do everything that containers do, against maps and slices.
// What each sees is its snapshot and its own writes. A commit conflicts exactly
// when something that was read, or a key that both wrote, has changed; one that
// succeeds gives what a serial run at that moment gives, in all that was
// returned and in what is left. Scenarios 26 to 36, D12
func TestContainersAgainstSerialRuns(t *testing.T) {
	for _, name := range []string{"model", "memory"} {
		for _, isolation := range []Isolation{Serializable, SnapshotIsolation} {
			t.Run(fmt.Sprint(name, isolation), func(t *testing.T) {
				smallNodes(t)
				rapid.Check(t, func(r *rapid.T) { serialModel(t, r, beds[name](t), isolation) })
			})
		}
	}
}

func serialModel(t *testing.T, r *rapid.T, b *bed, isolation Isolation) {
	var dbs []*DB
	for range 2 {
		db, err := b.open(Options{Isolation: isolation, CacheBytes: 20_000})
		if err != nil {
			r.Fatal(err)
		}
		defer db.Close()
		dbs = append(dbs, db)
	}
	committed, size := &world{}, rapid.IntRange(0, 40).Draw(r, "size")
	update(t, dbs[0], func(tx *Tx) error {
		s := Must(theShelf.Load(tx))
		for i := range committed.trees {
			committed.trees[i] = map[int]string{}
		}
		for k := 0; k < size; k += 2 {
			_ = s.Numbers.Put(tx, k, "0")
			_ = s.Dict.Put(tx, str2(k), 0)
			_ = s.Tags.Add(tx, str2(k))
			_ = s.Log.Append(tx, "x0")
			committed.trees[0][k], committed.trees[1][k], committed.trees[2][k] = "0", "0", ""
			committed.log = append(committed.log, "x0")
		}
		return nil
	})
	var actors []*actor
	defer func() {
		for _, a := range actors {
			if a.tx != nil {
				_ = a.tx.Rollback()
			} else {
				_ = a.conn.Abort()
				_ = a.conn.Close()
			}
		}
		if n := 0; b.mem != nil && int(b.mem.open.Load()) != n {
			r.Fatalf("%d snapshots were not released", b.mem.open.Load())
		}
	}()
	for range rapid.IntRange(2, 70).Draw(r, "steps") {
		if len(actors) < 3 {
			db := dbs[rapid.IntRange(0, 1).Draw(r, "handle")]
			a := &actor{past: []*world{committed}}
			if rapid.IntRange(0, 3).Draw(r, "kind") == 0 && isolation == Serializable {
				c, err := db.Connect(t.Context())
				if err != nil {
					r.Fatal(err)
				}
				a.conn = c
			} else {
				tx, err := db.Begin(t.Context(), true)
				if err != nil {
					r.Fatal(err)
				}
				a.tx, a.base = tx, committed.clone()
			}
			actors = append(actors, a)
		}
		which := rapid.IntRange(0, len(actors)-1).Draw(r, "actor")
		a := actors[which]
		switch action := rapid.IntRange(0, 9).Draw(r, "action"); {
		case action == 0:
			if next := finishActor(r, a, committed, isolation); next != committed {
				committed = next
				for _, a := range actors {
					a.past = append(a.past, committed)
				}
			}
			if a.tx != nil {
				actors = slices.Delete(actors, which, which+1)
			}
		case action == 1 && a.conn != nil:
			if a.base == nil {
				a.base = committed.clone()
				Must(0, a.conn.Pause())
			} else {
				a.base = nil
				Must(0, a.conn.Continue())
			}
		default:
			var op treeOp
			sees := a.sees(committed)
			if rapid.IntRange(0, 3).Draw(r, "what") == 0 && isolation == Serializable {
				op = drawOther(r, a, committed)
			} else {
				op = drawTreeOp(r, a, committed)
			}
			sh := Must(theShelf.Load(a.session()))
			a.reads = append(a.reads, modelRead{"the shelf", func(*world) string { return "" }, ""})
			got := op.real(a.session(), sh)
			a.ops, a.seen, a.names = append(a.ops, op.model), append(a.seen, got), append(a.names, op.name)
			// What it sees is its snapshot and its own writes.
			if want := op.model(sees); got != want {
				r.Fatalf("%s gave %q, want %q; before: %q", op.name, got, want, a.names)
			}
		}
	}
}

// finishActor commits, and returns what is committed then.
func finishActor(r *rapid.T, a *actor, committed *world, isolation Isolation) *world {
	var err error
	if a.tx != nil {
		err = a.tx.Commit()
	} else {
		err = a.conn.Commit()
	}
	predicted := a.conflict(committed, isolation)
	nothing := true // it changes nothing of what it has seen, so it may have run then
	if a.tx != nil {
		nothing = a.sees(committed).equal(a.base)
	} else {
		nothing = a.delta == 0 && len(a.appended) == 0 && len(a.writes[0])+len(a.writes[1])+len(a.writes[2]) == 0
	}
	switch {
	case errors.Is(err, ErrConflict) && a.moved != nil && !slices.Equal(a.base.log, committed.log):
		// When others have changed the list that values were moved in, a
		// conflict is right.
	case errors.Is(err, ErrConflict) && slices.ContainsFunc(a.past, func(w *world) bool { return a.conflict(w, isolation) != "" }):
		// A state in between is reason enough: a commit is compared with the
		// newest that its handle knows, before it is with the newest.
	case errors.Is(err, ErrConflict):
		r.Fatalf("a needless conflict: %v; it did %q on %v, now it is %v", err, a.names, a.base, committed)
	case err != nil:
		r.Fatalf("commit: %v", err)
	case nothing && a.tx != nil:
	case predicted != "" && a.moved == nil:
		r.Fatalf("a missed conflict: %s; it did %q", predicted, a.names)
	default:
		next := committed.clone()
		if isolation == SnapshotIsolation {
			a.apply(next)
		} else {
			for i, f := range a.ops {
				if got := f(next); got != a.seen[i] {
					r.Fatalf("%s gave %q; run after the others it gives %q; it did %q", a.names[i], a.seen[i], got, a.names)
				}
			}
		}
		committed = next
	}
	if a.conn != nil {
		if err != nil {
			Must(0, a.conn.Abort())
		}
		paused := a.base != nil
		conn := a.conn
		*a = actor{conn: conn, past: []*world{committed}}
		if paused { // Commit moves it on, Abort does not
			Must(0, conn.Sync())
			a.base = committed.clone()
		}
	}
	checkWorld(r, a, committed)
	return committed
}

// checkWorld reads everything in a View.
func checkWorld(r *rapid.T, a *actor, want *world) {
	got := &world{}
	for i := range got.trees {
		got.trees[i] = map[int]string{}
	}
	key := func(s string) (k int) { _, _ = fmt.Sscanf(s, "k%d", &k); return k }
	if err := a.session().core().db.View(a.session().Context(), func(tx *Tx) error {
		s := Must(theShelf.Load(tx))
		for k, v := range s.Numbers.All(tx) {
			got.trees[0][k] = v
		}
		for k, v := range s.Dict.All(tx) {
			got.trees[1][key(k)] = fmt.Sprint(v)
		}
		for k := range s.Tags.All(tx) {
			got.trees[2][key(k)] = ""
		}
		for _, v := range s.Log.All(tx) {
			got.log = append(got.log, v)
		}
		got.hits = Must(s.Hits.Value(tx))
		if n := []int{Must(s.Numbers.Len(tx)), Must(s.Dict.Len(tx)), Must(s.Tags.Len(tx)), Must(s.Log.Len(tx))}; !slices.Equal(n, []int{len(got.trees[0]), len(got.trees[1]), len(got.trees[2]), len(got.log)}) {
			return fmt.Errorf("lengths %v do not fit", n)
		}
		return nil
	}); err != nil {
		r.Fatal(err)
	}
	if !got.equal(want) {
		r.Fatalf("the file has %v\nwant %v; after %q", got, want, a.names)
	}
}
