//go:build linux

package torture

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"

	"github.com/durusdb/durus/durus"
)

// Money is what is conserved: each transaction that moves some takes as much as
// it gives, so that all of it adds up to 0 in every state of the database, and
// so does what an undo leaves. A stamp is never used twice, so no two states of
// one thing are equal, and an undo cannot take another one for "as it was before".

// Purse is a plain object with money.
type Purse struct{ Amount, Stamp int64 }

// Pot is one that is merged when two add to it.
type Pot struct{ Amount, Stamp int64 }

// Cell is money in a container.
type Cell struct{ Amount, Stamp int64 }

// Row is money in a table.
type Row struct {
	Amount, Stamp int64
	Name          string
	Tags          []string
	Gone          bool // it was deleted from its table, and holds nothing
}

// Vault is where the money is, but for that of the relics.
type Vault struct {
	Purses  []durus.Ref[Purse]
	Pots    []durus.Ref[Pot]
	Tree    durus.BTree[string, Cell]
	Dict    durus.Dict[int64, Cell]
	List    durus.List[Cell]
	Set     durus.Set[string]
	Counter durus.Counter
	Rows    durus.Table[string, Row]
	Drawer  durus.Table[int64, Row] // its indexes are dropped and built again
	Loose   []durus.Ref[Purse]      // empty ones, which come and go
	Weak    []durus.WeakRef[Purse]
	Undone  durus.Dict[uint64, int64] // what may be undone once only
}

// Relic has an older version, which a program without its second field writes.
type Relic struct {
	Amount, Stamp int64
	Note          string
}

type oldRelic struct{ Amount, Stamp int64 }

// Relics are those of both programs, on a root of their own.
type Relics struct {
	All durus.Dict[int64, durus.Ref[Relic]]
}

type oldRelics struct {
	All durus.Dict[int64, durus.Ref[oldRelic]]
}

// Page is a worker's own: how often it has written, in several ways.
type Page struct {
	N       int64
	List    durus.List[int64]
	Counter durus.Counter
}

// Book holds the same of all workers.
type Book struct {
	Tree    durus.BTree[int, int64]
	Dict    durus.Dict[int, int64]
	Set     durus.Set[string]
	Entries durus.Table[int, Entry]
}

// Entry is a worker's row in the book.
type Entry struct {
	N    int64
	Mark string // "worker/n"
	Tags []int64
}

// Bulk is what large transactions write.
type Bulk struct {
	All durus.BTree[int64, durus.Ref[Lump]]
}

// Lump is a large object of Bulk.
type Lump struct {
	N, Again int64
	Fill     []byte
}

var (
	chaosName = durus.NewIndex("name", func(r *Row) string { return r.Name }).Unique()
	chaosTag  = durus.NewMultiIndex("tag", func(r *Row) []string { return r.Tags })
	chaosMark = durus.NewIndex("mark", func(e *Entry) string { return e.Mark }).Unique()
	chaosOf   = durus.NewMultiIndex("tags", func(e *Entry) []int64 { return e.Tags })

	_ = durus.Register[Purse]("chaos.Purse")
	_ = durus.Register[Pot]("chaos.Pot", durus.Merge(mergePots))
	_ = durus.Register[Row]("chaos.Row", durus.Indexes(chaosName, chaosTag))
	_ = durus.Register[Vault]("chaos.Vault")
	_ = durus.Register[Relic]("chaos.Relic", durus.Version(2), durus.Upgrade(1, func(_ *oldRelic, r *Relic) error {
		r.Note = "upgraded"
		return nil
	}))
	_ = durus.Register[Relics]("chaos.Relics")
	_ = durus.Register[Page]("chaos.Page")
	_ = durus.Register[Book]("chaos.Book")
	_ = durus.Register[Entry]("chaos.Entry", durus.Indexes(chaosMark, chaosOf))
	_ = durus.Register[Bulk]("chaos.Bulk")
	_ = durus.Register[Lump]("chaos.Lump")

	vault     = durus.NewRoot[Vault]("chaos.vault")
	relics    = durus.NewRoot[Relics]("chaos.relics")
	oldRoot   = durus.NewRoot[oldRelics]("chaos.relics")
	book      = durus.NewRoot[Book]("chaos.book")
	bulk      = durus.NewRoot[Bulk]("chaos.bulk")
	manyRoots = 20
)

// oldTypes are those of the older program.
func oldTypes() *durus.Types {
	types := durus.NewTypes()
	durus.RegisterIn[oldRelic](types, "chaos.Relic")
	durus.RegisterIn[oldRelics](types, "chaos.Relics")
	return types
}

func pageOf(worker int) durus.Root[Page] {
	return durus.NewRoot[Page](fmt.Sprintf("chaos.page.%d", worker))
}

func extraRoot(i int) durus.Root[Purse] {
	return durus.NewRoot[Purse](fmt.Sprintf("chaos.extra.%d", i))
}

func markOf(worker int, n int64) string { return fmt.Sprintf("%d/%d", worker, n) }

// mergePots adds what both have added. The stamp is one of its own.
func mergePots(base, theirs, mine *Pot) (*Pot, error) {
	mine.Amount += theirs.Amount - base.Amount
	h := uint64(mine.Stamp)
	for _, s := range []int64{theirs.Stamp, base.Stamp} {
		h = bits.RotateLeft64(h*0x9e3779b97f4a7c15, 29) ^ uint64(s)
	}
	mine.Stamp = int64(h)
	return mine, nil
}

// scene is a state of the database, as an audit has found it.
type scene struct {
	TID    durus.TID
	Digest uint64
	Pages  []int64 // of the workers
}

// audit reads all there is and checks that it adds up. It fails with errWrong if
// it does not, and else with an error of the engine.
func audit(tx *durus.Tx, workers int) (s scene, err error) {
	a := auditor{tx: tx, scene: scene{TID: tx.Snapshot(), Pages: make([]int64, workers)}}
	h := fnv.New64a()
	a.out = h
	for _, part := range []func() error{a.vault, a.relics, a.book, a.bulk, a.extras} {
		if err := part(); err != nil {
			return a.scene, err
		}
	}
	if err := tx.Err(); err != nil {
		return a.scene, err
	}
	if a.sum != 0 {
		return a.scene, a.wrong("the money adds up to %d", a.sum)
	}
	a.scene.Digest = h.Sum64()
	return a.scene, nil
}

type auditor struct {
	tx    *durus.Tx
	out   io.Writer // what it prints is the digest
	sum   int64
	scene scene
}

// errWrong: the database does not hold what it should.
var errWrong = errors.New("wrong")

func (a *auditor) wrong(format string, args ...any) error {
	return fmt.Errorf("%w at transaction %s: %s", errWrong, a.tx.Snapshot(), fmt.Sprintf(format, args...))
}

// broken is what stands behind a thing that is not as it should be: an error that
// has met the audit, or else the database.
func (a *auditor) broken(err error, format string, args ...any) error {
	if err := errors.Join(err, a.tx.Err()); err != nil {
		return err
	}
	return a.wrong(format, args...)
}

func (a *auditor) print(args ...any) { _, _ = fmt.Fprintln(a.out, args...) }

func (a *auditor) vault() error {
	v, err := vault.Load(a.tx)
	if err != nil {
		return err
	}
	for i, r := range v.Purses {
		p, err := r.Load(a.tx)
		if err != nil {
			return fmt.Errorf("purse %d: %w", i, err)
		}
		a.sum += p.Amount
		a.print("purse", r.OID(), *p)
	}
	for i, r := range v.Pots {
		p, err := r.Load(a.tx)
		if err != nil {
			return fmt.Errorf("pot %d: %w", i, err)
		}
		a.sum += p.Amount
		a.print("pot", r.OID(), *p)
	}
	for i, r := range v.Loose {
		p, err := r.Load(a.tx)
		if err != nil {
			return fmt.Errorf("loose purse %d: %w", i, err)
		}
		a.print("loose", r.OID(), *p)
	}
	for i, w := range v.Weak {
		if _, _, err := w.Load(a.tx); err != nil {
			return fmt.Errorf("weak reference %d: %w", i, err)
		}
		a.print("weak", w.OID())
	}
	if err := a.containers(v); err != nil {
		return err
	}
	if err := table(a, "rows", v.Rows, false); err != nil {
		return err
	}
	return table(a, "drawer", v.Drawer, true)
}

func (a *auditor) containers(v *Vault) error {
	n := 0
	for k, c := range v.Tree.All(a.tx) {
		n++
		a.sum += c.Amount
		a.print("tree", k, c)
	}
	if l, err := v.Tree.Len(a.tx); err != nil || l != n {
		return a.broken(err, "the tree has %d keys and a length of %d", n, l)
	}
	n = 0
	for k, c := range v.Dict.All(a.tx) {
		n++
		a.sum += c.Amount
		a.print("dict", k, c)
	}
	if l, err := v.Dict.Len(a.tx); err != nil || l != n {
		return a.broken(err, "the dict has %d keys and a length of %d", n, l)
	}
	n = 0
	for i, c := range v.List.All(a.tx) {
		n++
		a.sum += c.Amount
		a.print("list", i, c)
	}
	if l, err := v.List.Len(a.tx); err != nil || l != n {
		return a.broken(err, "the list has %d values and a length of %d", n, l)
	}
	for k := range v.Set.All(a.tx) {
		a.print("set", k)
	}
	for k, n := range v.Undone.All(a.tx) {
		a.print("undone", k, n)
	}
	n64, err := v.Counter.Value(a.tx)
	a.sum += n64
	a.print("counter", n64)
	return err
}

func table[K comparable](a *auditor, name string, t durus.Table[K, Row], maimed bool) error {
	n := 0
	for k, r := range t.All(a.tx) {
		row, err := r.Load(a.tx)
		if err != nil {
			return fmt.Errorf("%s, row %v: %w", name, k, err)
		}
		if row.Gone {
			return a.wrong("%s: row %v is there and was deleted", name, k)
		}
		if !maimed { // all indexes are there
			got, ok, err := chaosName.Lookup(a.tx, t, row.Name)
			if err != nil || !ok || got.OID() != r.OID() {
				return a.broken(err, "%s: row %v has the name %q, by which %v is found, %t", name, k, row.Name, got, ok)
			}
		}
		n++
		a.sum += row.Amount
		a.print(name, k, r.OID(), *row)
	}
	if err := t.Check(a.tx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if l, err := t.Len(a.tx); err != nil || l != n {
		return a.broken(err, "%s has %d rows and a length of %d", name, n, l)
	}
	return nil
}

func (a *auditor) relics() error {
	r, err := relics.Load(a.tx)
	if err != nil {
		return err
	}
	for k, ref := range r.All.All(a.tx) {
		relic, err := ref.Load(a.tx)
		if err != nil {
			return fmt.Errorf("relic %d: %w", k, err)
		}
		a.sum += relic.Amount
		a.print("relic", k, ref.OID(), *relic)
	}
	return nil
}

// book: whatever a worker wrote, it wrote in one transaction.
func (a *auditor) book() error {
	b, err := book.Load(a.tx)
	if err != nil {
		return err
	}
	if err := b.Entries.Check(a.tx); err != nil {
		return fmt.Errorf("the book: %w", err)
	}
	for w := range a.scene.Pages {
		p, err := pageOf(w).Load(a.tx)
		if err != nil {
			return err
		}
		counted, err1 := p.Counter.Value(a.tx)
		tree, _, err2 := b.Tree.Get(a.tx, w)
		dict, _, err3 := b.Dict.Get(a.tx, w)
		entry, ok, err4 := b.Entries.Get(a.tx, w)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return fmt.Errorf("page %d: %w", w, err)
		}
		if !ok {
			entry = new(Entry)
		}
		if p.N != counted || p.N != tree || p.N != dict || p.N != entry.N {
			return a.wrong("worker %d has written %d times: its counter says %d, the tree %d, the dict %d, the table %d", w, p.N, counted, tree, dict, entry.N)
		}
		last := max(0, p.N-pageLength)
		for _, n := range p.List.All(a.tx) {
			if last++; n != last {
				return a.wrong("the list of worker %d, who has written %d times, has %d in the place of %d", w, p.N, n, last)
			}
		}
		if last != p.N && a.tx.Err() == nil {
			return a.wrong("the list of worker %d, who has written %d times, ends at %d", w, p.N, last)
		}
		there, err := b.Set.Has(a.tx, markOf(w, p.N))
		if err != nil || there != (p.N > 0) {
			return a.broken(err, "the mark of page %d: %t", w, there)
		}
		a.scene.Pages[w] = p.N
		a.print("page", w, p.N)
	}
	return nil
}

// pageLength is how many values the list of a page holds.
const pageLength = 20

func (a *auditor) bulk() error {
	b, err := bulk.Load(a.tx)
	if err != nil {
		return err
	}
	for k, ref := range b.All.All(a.tx) {
		a.print("bulk", k, ref.OID())
		if k%16 != 0 {
			continue
		}
		lump, err := ref.Load(a.tx)
		if err != nil {
			return fmt.Errorf("bulk %d: %w", k, err)
		}
		if lump.N != lump.Again {
			return a.wrong("bulk %d holds %d and %d", k, lump.N, lump.Again)
		}
		a.print(lump.N, len(lump.Fill))
	}
	return nil
}

func (a *auditor) extras() error {
	for i := range manyRoots {
		p, err := extraRoot(i).Load(a.tx)
		if err != nil {
			return fmt.Errorf("root %d: %w", i, err)
		}
		a.print("extra", i, *p)
	}
	return nil
}
