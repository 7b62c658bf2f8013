package durus

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// trio are the keyed containers of one key type.
type trio[K comparable] struct {
	Tree BTree[K, int]
	Dict Dict[K, int]
	Set  Set[K]
}

// sample is a struct as a key.
type sample struct {
	Name string
	At   time.Time
	Pair [2]int8
	F    float32
}

var places = []*time.Location{time.UTC, time.FixedZone("east", 3600), time.FixedZone("west", -7*3600)}

func drawTime(r *rapid.T) time.Time {
	sec := rapid.SampledFrom([]int64{0, -1, 1, 1 << 33, 1 << 34, 1<<34 + 1, -1 << 40, 1 << 40, -62135596800, 1<<63 - 1, -1 << 63, 1700000000}).Draw(r, "seconds")
	nsec := rapid.SampledFrom([]int64{0, 0, 1, 999999999}).Draw(r, "nanoseconds")
	return time.Unix(sec, nsec).In(rapid.SampledFrom(places).Draw(r, "zone"))
}

func compareTimes(a, b time.Time) int {
	return cmp.Or(cmp.Compare(a.Unix(), b.Unix()), cmp.Compare(a.Nanosecond(), b.Nanosecond()))
}

func drawFloat(r *rapid.T) float64 {
	return rapid.SampledFrom([]float64{math.NaN(), math.Float64frombits(0x7ff8000000000123), math.Copysign(0, -1), 0, 1, -1, 0.5, math.Inf(1), math.Inf(-1),
		math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 1e10, -1e10, 3, 4, 5, 6}).Draw(r, "float")
}

func drawString(r *rapid.T) string {
	prefix := rapid.SampledFrom([]string{"", "a", "common prefix of many keys/", "common prefix of many keys/\x00", "\xff"}).Draw(r, "prefix")
	return prefix + strings.Repeat(rapid.SampledFrom([]string{"", "\x00", "b", "é", "\xff\xfe"}).Draw(r, "letter"), rapid.IntRange(0, 9).Draw(r, "times"))
}

func number[T int | int8 | int64 | uint8 | uint32 | uint64 | uint](extremes ...T) func(*rapid.T) T {
	return func(r *rapid.T) T {
		if rapid.IntRange(0, 3).Draw(r, "extreme") == 0 {
			return rapid.SampledFrom(extremes).Draw(r, "number")
		}
		return T(rapid.IntRange(0, 60).Draw(r, "number"))
	}
}

// Every kind of key, on trees of many levels: all that a BTree, a Dict and a Set
// do in transactions that are committed or not, with the database opened anew in
// between, against a sorted slice. Scenario 35
func TestKeyedContainersModel(t *testing.T) {
	smallNodes(t)
	keyed(t, "int", number[int](math.MinInt, math.MaxInt, -1, -32, -33, -128, -129, 1<<30), cmp.Compare[int])
	keyed(t, "int8", number[int8](-128, 127, -1), cmp.Compare[int8])
	keyed(t, "int64", number[int64](math.MinInt64, math.MaxInt64, math.MinInt32, math.MaxUint32, -1), cmp.Compare[int64])
	keyed(t, "uint8", number[uint8](255, 128, 127), cmp.Compare[uint8])
	keyed(t, "uint64", number[uint64](math.MaxUint64, math.MaxInt64, math.MaxInt64+1, math.MaxUint32), cmp.Compare[uint64])
	keyed(t, "float64", drawFloat, cmp.Compare[float64])
	keyed(t, "float32", func(r *rapid.T) float32 { return float32(drawFloat(r)) }, cmp.Compare[float32])
	keyed(t, "string", drawString, strings.Compare)
	keyed(t, "time", drawTime, compareTimes)
	keyed(t, "reference", func(r *rapid.T) Ref[account] {
		return RefTo[account](OID(rapid.SampledFrom([]int{0, 1, 2, 3}).Draw(r, "oid")))
	},
		func(a, b Ref[account]) int { return cmp.Compare(a.OID(), b.OID()) })
	keyed(t, "array", func(r *rapid.T) (k [2]string) { return [2]string{drawString(r), drawString(r)} },
		func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	keyed(t, "struct", func(r *rapid.T) sample {
		return sample{rapid.SampledFrom([]string{"", "n", "n\x00"}).Draw(r, "name"), drawTime(r), [2]int8{int8(rapid.IntRange(-1, 1).Draw(r, "first")), 0}, float32(drawFloat(r))}
	}, func(a, b sample) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), compareTimes(a.At, b.At), slices.Compare(a.Pair[:], b.Pair[:]), cmp.Compare(a.F, b.F))
	})
}

func keyed[K comparable](t *testing.T, name string, draw func(*rapid.T) K, compare func(a, b K) int) {
	types := NewTypes()
	RegisterIn[trio[K]](types, "test.Trio")
	RegisterIn[account](types, "test.Account")
	for _, kind := range []string{"model", "memory"} {
		t.Run(name+" "+kind, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				m := &keyModel[K]{r: r, draw: draw, compare: compare, root: NewRoot[trio[K]]("trio")}
				m.run(t, beds[kind](t), types)
			})
		})
	}
}

// keyEntry is an entry of the model.
type keyEntry[K any] struct {
	k K
	v int
}

// keyModel is a sorted slice; the three containers have the same keys.
type keyModel[K comparable] struct {
	r       *rapid.T
	draw    func(*rapid.T) K
	compare func(a, b K) int
	root    Root[trio[K]]
	list    []keyEntry[K]
}

func (m *keyModel[K]) find(k K) (int, bool) {
	return slices.BinarySearchFunc(m.list, k, func(e keyEntry[K], k K) int { return m.compare(e.k, k) })
}

func (m *keyModel[K]) put(k K, v int) {
	if i, found := m.find(k); found {
		m.list[i].v = v
	} else {
		m.list = slices.Insert(m.list, i, keyEntry[K]{k, v})
	}
}

func (m *keyModel[K]) delete(k K) bool {
	i, found := m.find(k)
	if found {
		m.list = slices.Delete(m.list, i, i+1)
	}
	return found
}

func (m *keyModel[K]) run(t *testing.T, b *bed, types *Types) {
	open := func() *DB {
		db, err := b.open(Options{Types: types, CacheBytes: 1 << 20})
		if err != nil {
			m.r.Fatal(err)
		}
		return db
	}
	db := open()
	defer func() { _ = db.Close() }()
	update(t, db, func(tx *Tx) error { // what references lead to
		Must(NewRoot[account]("a").Load(tx))
		Must(NewRoot[account]("b").Load(tx))
		return nil
	})
	for range rapid.IntRange(1, 5).Draw(m.r, "transactions") {
		before := slices.Clone(m.list)
		keep := rapid.IntRange(0, 3).Draw(m.r, "commit") > 0
		err := db.Update(t.Context(), func(tx *Tx) error {
			s := Must(m.root.Load(tx))
			for range rapid.IntRange(0, 25).Draw(m.r, "operations") {
				m.step(tx, s)
			}
			m.check(tx, s)
			if !keep {
				return errUndo
			}
			return nil
		})
		if !keep {
			wantErr(t, err, errUndo)
			m.list = before
		} else if err != nil {
			m.r.Fatal(err)
		}
		if rapid.Bool().Draw(m.r, "reopen") {
			_ = db.Close()
			db = open()
		}
		view(t, db, func(tx *Tx) error { m.check(tx, Must(m.root.Load(tx))); return nil })
	}
	verify(t, db)
}

// step does one thing to all three.
func (m *keyModel[K]) step(tx *Tx, s *trio[K]) {
	k, v := m.draw(m.r), rapid.IntRange(0, 99).Draw(m.r, "value")
	i, there := m.find(k)
	old := 0
	if there {
		old = m.list[i].v
	}
	same := func(what string, got, want any) {
		if got != want {
			m.r.Fatalf("%s of %v: %v, want %v", what, k, got, want)
		}
	}
	switch rapid.IntRange(0, 6).Draw(m.r, "operation") {
	case 0, 1:
		Must(0, s.Tree.Put(tx, k, v))
		Must(0, s.Dict.Put(tx, k, v))
		Must(0, s.Set.Add(tx, k))
		m.put(k, v)
	case 2:
		same("Insert", Must(s.Tree.Insert(tx, k, v)), !there)
		same("Insert", Must(s.Dict.Insert(tx, k, v)), !there)
		Must(0, s.Set.Add(tx, k))
		if !there {
			m.put(k, v)
		}
	case 3:
		same("Delete", Must(s.Tree.Delete(tx, k)), there)
		same("Delete", Must(s.Dict.Delete(tx, k)), there)
		same("Delete", Must(s.Set.Delete(tx, k)), there)
		m.delete(k)
	case 4:
		got, ok := Must2(s.Tree.Get(tx, k))
		same("Get", fmt.Sprint(got, ok), fmt.Sprint(old, there))
		got, ok = Must2(s.Dict.Get(tx, k))
		same("Get", fmt.Sprint(got, ok), fmt.Sprint(old, there))
		same("Has", Must(s.Set.Has(tx, k)), there)
	case 5:
		m.changing(tx, s)
	case 6:
		same("Len", Must(s.Tree.Len(tx)), len(m.list))
		same("Len", Must(s.Dict.Len(tx)), len(m.list))
		same("Len", Must(s.Set.Len(tx)), len(m.list))
	}
}

// changing walks over the tree, in any form, while its body changes it: what is
// deleted ahead does not come, what is inserted ahead does, nothing comes twice.
func (m *keyModel[K]) changing(tx *Tx, s *trio[K]) {
	from, to := m.draw(m.r), m.draw(m.r)
	form := rapid.IntRange(0, 4).Draw(m.r, "form")
	walk := []func(func(K, int) bool){
		s.Tree.All(tx), s.Tree.Backward(tx), s.Tree.Range(tx, from, to), s.Tree.From(tx, from), s.Tree.Before(tx, from),
	}[form]
	back := form == 1 || form == 4
	inside := func(k K) bool {
		switch form {
		case 2:
			return m.compare(from, k) <= 0 && m.compare(k, to) < 0
		case 3:
			return m.compare(from, k) <= 0
		case 4:
			return m.compare(k, from) < 0
		}
		return true
	}
	var last *K
	next := func() *keyEntry[K] { // the next one, as the model is now
		order := slices.Clone(m.list)
		if back {
			slices.Reverse(order)
		}
		for i := range order {
			k := order[i].k
			if last != nil && (m.compare(k, *last) == 0 || (m.compare(k, *last) < 0) != back) {
				continue
			}
			if inside(k) {
				return &order[i]
			}
		}
		return nil
	}
	stop := rapid.IntRange(1, 100).Draw(m.r, "stop")
	for k, v := range walk {
		want := next()
		if want == nil || m.compare(want.k, k) != 0 || want.v != v {
			m.r.Fatalf("form %d from %v to %v: %v=%d came, want %v", form, from, to, k, v, want)
		}
		last = &k
		if stop--; stop == 0 {
			return
		}
		if rapid.IntRange(0, 3).Draw(m.r, "change") == 0 {
			other := m.draw(m.r)
			if rapid.Bool().Draw(m.r, "delete") {
				if len(m.list) > 0 && rapid.Bool().Draw(m.r, "existing") {
					other = m.list[rapid.IntRange(0, len(m.list)-1).Draw(m.r, "which")].k
				}
				Must(s.Tree.Delete(tx, other))
				Must(s.Dict.Delete(tx, other))
				Must(s.Set.Delete(tx, other))
				m.delete(other)
			} else {
				Must(0, s.Tree.Put(tx, other, 1000))
				Must(0, s.Dict.Put(tx, other, 1000))
				Must(0, s.Set.Add(tx, other))
				m.put(other, 1000)
			}
		}
	}
	if want := next(); want != nil {
		m.r.Fatalf("form %d from %v to %v: it ended before %v", form, from, to, want)
	}
}

// check compares everything.
func (m *keyModel[K]) check(s Session, c *trio[K]) {
	r := m.r
	equal := func(what string, got []keyEntry[K], want []keyEntry[K]) {
		if !slices.EqualFunc(got, want, func(a, b keyEntry[K]) bool { return m.compare(a.k, b.k) == 0 && a.v == b.v }) {
			r.Fatalf("%s: %v, want %v", what, got, want)
		}
	}
	collect := func(seq func(func(K, int) bool)) (out []keyEntry[K]) {
		for k, v := range seq {
			out = append(out, keyEntry[K]{k, v})
		}
		return out
	}
	keys := func(seq func(func(K) bool)) (out []keyEntry[K]) {
		for k := range seq {
			v := 0
			if i, found := m.find(k); found {
				v = m.list[i].v
			}
			out = append(out, keyEntry[K]{k, v})
		}
		return out
	}
	between := func(in func(k K) bool, back bool) (out []keyEntry[K]) {
		for _, e := range m.list {
			if in(e.k) {
				out = append(out, e)
			}
		}
		if back {
			slices.Reverse(out)
		}
		return out
	}
	everything := func(K) bool { return true }
	equal("All", collect(c.Tree.All(s)), m.list)
	equal("Set.All", keys(c.Set.All(s)), m.list)
	equal("Backward", collect(c.Tree.Backward(s)), between(everything, true))
	equal("Set.Backward", keys(c.Set.Backward(s)), between(everything, true))
	dict := collect(c.Dict.All(s))
	slices.SortFunc(dict, func(a, b keyEntry[K]) int { return m.compare(a.k, b.k) })
	equal("Dict.All", dict, m.list)
	for range 3 {
		a, b := m.draw(r), m.draw(r)
		if len(m.list) > 0 && rapid.Bool().Draw(r, "at a key") {
			a = m.list[rapid.IntRange(0, len(m.list)-1).Draw(r, "first")].k
		}
		half := func(k K) bool { return m.compare(a, k) <= 0 && m.compare(k, b) < 0 }
		equal("Range", collect(c.Tree.Range(s, a, b)), between(half, false))
		equal("Set.Range", keys(c.Set.Range(s, a, b)), between(half, false))
		up := func(k K) bool { return m.compare(a, k) <= 0 }
		equal("From", collect(c.Tree.From(s, a)), between(up, false))
		equal("Set.From", keys(c.Set.From(s, a)), between(up, false))
		down := func(k K) bool { return m.compare(k, a) < 0 }
		equal("Before", collect(c.Tree.Before(s, a)), between(down, true))
		equal("Set.Before", keys(c.Set.Before(s, a)), between(down, true))
	}
	for _, e := range m.list {
		v, ok := Must2(c.Tree.Get(s, e.k))
		w, ok2 := Must2(c.Dict.Get(s, e.k))
		if !ok || !ok2 || v != e.v || w != e.v || !Must(c.Set.Has(s, e.k)) {
			r.Fatalf("%v is listed and not found: %d %v, %d %v", e.k, v, ok, w, ok2)
		}
	}
	if n := len(m.list); Must(c.Tree.Len(s)) != n || Must(c.Dict.Len(s)) != n || Must(c.Set.Len(s)) != n {
		r.Fatalf("lengths of %d keys are wrong", n)
	}
	k, v, ok, err := c.Tree.Min(s)
	if err != nil || ok != (len(m.list) > 0) || ok && (m.compare(k, m.list[0].k) != 0 || v != m.list[0].v) {
		r.Fatalf("Min %v=%d, %v, %v", k, v, ok, err)
	}
	k, v, ok, err = c.Tree.Max(s)
	if last := len(m.list) - 1; err != nil || ok != (last >= 0) || ok && (m.compare(k, m.list[last].k) != 0 || v != m.list[last].v) {
		r.Fatalf("Max %v=%d, %v, %v", k, v, ok, err)
	}
	least, ok, err := c.Set.Min(s)
	if err != nil || ok != (len(m.list) > 0) || ok && m.compare(least, m.list[0].k) != 0 {
		r.Fatalf("Min of the set %v, %v, %v", least, ok, err)
	}
	most, ok, err := c.Set.Max(s)
	if last := len(m.list) - 1; err != nil || ok != (last >= 0) || ok && m.compare(most, m.list[last].k) != 0 {
		r.Fatalf("Max of the set %v, %v, %v", most, ok, err)
	}
}
