package a

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"

	"example.org/model"
	"github.com/durusdb/durus/durus"
)

type account struct {
	Owner   string
	Balance int64
	Tags    []string
	Limits  map[string]int
	Home    address
	Work    *address
	Next    durus.Ref[account]
	Log     durus.List[string]
	Grid    [3]int
}

type address struct {
	Street string
	Lines  []string
}

type bank struct {
	Accounts map[string]durus.Ref[account]
	Index    durus.BTree[string, durus.Ref[account]]
	Notes    durus.BTree[string, note]
}

type note struct {
	Text string
	Tags []string
}

var root = durus.NewRoot[bank]("bank")

func (a *account) setOwner(s string) { a.Owner = s } // want setOwner:"writes0"

func (a *account) owner() string { return a.Owner }

func read(s durus.Session, ref durus.Ref[account]) (*account, error) { // want read:"returns0"
	if s == nil {
		return nil, nil
	}
	return ref.Load(s)
}

func edited(s durus.Session, ref durus.Ref[account]) (*account, error) { return ref.Edit(s) }

// Everything that changes a loaded object is found.
func bad(tx *durus.Tx, ref durus.Ref[account], m *model.Account, any durus.AnyRef, weak durus.WeakRef[account]) error {
	a, err := ref.Load(tx)
	if err != nil {
		return err
	}
	a.Balance = 1                 // want `assignment to an object that Load gave, which is shared: change what Edit returns`
	a.Balance++                   // want `assignment to`
	a.Balance += 2                // want `assignment to`
	a.Tags[0] = "x"               // want `assignment to`
	a.Tags = append(a.Tags, "")   // want `assignment to`
	a.Limits["x"] = 1             // want `assignment to a map of`
	a.Limits["x"]++               // want `assignment to a map of`
	a.Home.Street = "s"           // want `assignment to`
	a.Work.Lines[0] = "l"         // want `assignment to`
	a.Grid[1] = 2                 // want `assignment to`
	*a = account{}                // want `assignment to`
	delete(a.Limits, "x")         // want `delete changes`
	clear(a.Limits)               // want `clear changes`
	copy(a.Tags, []string{"y"})   // want `copy changes`
	sort.Strings(a.Tags)          // want `sort.Strings changes`
	slices.Sort(a.Tags)           // want `slices.Sort changes`
	maps.Copy(a.Limits, a.Limits) // want `maps.Copy changes`
	a.setOwner("x")               // want `setOwner writes to what it is given here, an object that Load gave, which is shared: give it what Edit returns`

	tags := a.Tags[1:]
	tags[0] = "x" // want `assignment to`
	work := a.Work
	work.Street = "x" // want `assignment to`
	street := &a.Home.Street
	*street = "x" // want `assignment to`

	p := durus.Must(ref.Peek(tx))
	p.Owner = "x" // want `Peek gave`
	b := durus.Must(root.Load(tx))
	b.Accounts["x"] = ref // want `assignment to a map of an object that Load gave`
	w, ok, err := weak.Load(tx)
	if ok && err == nil {
		w.Owner = "x" // want `Load gave`
	}
	switch v := durus.Must(any.Load(tx)).(type) {
	case *account:
		v.Owner = "x" // want `Load gave`
	case *bank:
		clear(v.Accounts) // want `clear changes`
	}
	if v, ok := durus.Must(any.Load(tx)).(*account); ok {
		v.Owner = "x" // want `Load gave`
	}
	r := durus.Must(read(tx, ref))
	r.Owner = "x" // want `read gave`

	acc := durus.Must(durus.Ref[model.Account]{}.Load(tx))
	acc.SetOwner("x")         // want `SetOwner writes`
	model.Pay(7, acc)         // want `Pay writes`
	model.Fill(acc.Tags, "x") // want `Fill writes`
	acc.Scribble()            // want `Scribble writes`
	model.Later(acc)()        // want `Later writes`
	_ = acc.With("x")
	_ = acc.Name()
	model.Either(acc, true)
	return nil
}

// What becomes an object of the transaction must not be another one's.
func taken(tx *durus.Tx, ref durus.Ref[account], t durus.Table[int, account], b durus.BTree[int, []string]) {
	a := durus.Must(ref.Load(tx))
	durus.Must(durus.Add(tx, a))        // want `Add takes over an object that Load gave, which is shared`
	durus.Must(t.Insert(tx, 1, a))      // want `Table.Insert takes over an object that Load gave`
	durus.Must(b.Insert(tx, 1, a.Tags)) // it is stored, and stays as it is
	c := *a
	durus.Must(durus.Add(tx, &c))
	durus.Must(t.Insert(tx, 2, &account{Owner: a.Owner}))
}

func joins(tx *durus.Tx, ref durus.Ref[account], t durus.Table[int, account]) {
	durus.Must(t.Insert(tx, 1, durus.Must(ref.Edit(tx))))
}

func addAgain(tx *durus.Tx, a *account) { durus.Must(durus.Add(tx, a)) } // want addAgain:"writes1"

func again(tx *durus.Tx, ref durus.Ref[account]) {
	addAgain(tx, durus.Must(ref.Load(tx))) // want `addAgain writes to what it is given here`
}

// What iterators and containers give is shared as well.
func loops(tx *durus.Tx) {
	b := durus.Must(root.Load(tx))
	for name, a := range durus.Each(tx, b.Index.All(tx)) {
		a.Owner = name // want `Each gave`
		for i := range a.Tags {
			a.Tags[i] = "" // want `Each gave`
		}
	}
	for _, a := range durus.Instances[account](tx) {
		a.setOwner("x") // want `setOwner writes`
	}
	for _, n := range b.Notes.All(tx) {
		n.Text = "mine"
		n.Tags[0] = "x" // want `All gave`
	}
	n, _, _ := b.Notes.Get(tx, "x")
	n.Text = "mine"
	n.Tags[0] = "x" // want `Get gave`
	for _, ref := range b.Accounts {
		durus.Must(ref.Load(tx)).Balance = 0 // want `Load gave`
	}
	for a := durus.Must(b.Accounts["x"].Load(tx)); a != nil; a, _ = a.Next.Load(tx) {
		a.Balance = 0 // want `Load gave`
	}
}

// Objects that leave a transaction are shared still.
func outside(ctx context.Context, db *durus.DB, ref durus.Ref[account]) {
	var kept *account
	_ = db.View(ctx, func(tx *durus.Tx) error {
		a, err := ref.Load(tx)
		kept = a
		func() { a.Owner = "x" }() // want `Load gave`
		return err
	})
	kept.Balance = 1 // want `Load gave`
	got, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (*account, error) { return ref.Load(tx) })
	if err == nil {
		got.Balance = 1 // want `Load gave`
	}
}

// A copy of the struct may be written, what it refers to may not.
func copies(tx *durus.Tx, ref durus.Ref[account]) {
	a := *durus.Must(ref.Load(tx))
	a.Balance = 1
	a.Home.Street = "x"
	a.Grid[1] = 2
	a.setOwner("x")
	a.Tags = slices.Clone(a.Tags)
	a.Tags[0] = "x"

	b := *durus.Must(ref.Load(tx))
	b.Balance = 1
	b.Tags[0] = "x"     // want `assignment to`
	b.Limits["x"] = 1   // want `assignment to a map of`
	b.Work.Street = "x" // want `assignment to`

	work := *durus.Must(ref.Load(tx)).Work
	work.Street = "x"
	tags := append([]string{}, b.Tags...)
	tags[0] = "x"
	limits := maps.Clone(b.Limits)
	limits["x"] = 1
	more := append(b.Tags, "x") // copies: a shared slice has no room
	more[0] = "y"
	_ = strings.Join(b.Tags, "")
}

// What Edit and Add give is the program's own.
func good(tx *durus.Tx, ref durus.Ref[account], edit bool) error {
	e := durus.Must(ref.Edit(tx))
	e.Balance = 1
	e.Tags[0] = "x"
	e.setOwner("x")
	b := durus.Must(root.Load(tx))
	_ = b.Log()
	if err := b.Index.Put(tx, "x", ref); err != nil { // containers are written through a loaded owner
		return err
	}
	if err := durus.Must(b.Accounts["x"].Load(tx)).Log.Append(tx, "x"); err != nil {
		return err
	}

	// One variable for both.
	a, err := b.Accounts["y"].Load(tx)
	if err != nil {
		return err
	}
	if a.Balance == 0 {
		a, err = b.Accounts["y"].Edit(tx)
		if err != nil {
			return err
		}
		a.Balance = 1
	}
	_ = a.owner()
	var c *account
	if edit {
		c = durus.Must(b.Accounts["z"].Edit(tx))
	} else {
		c = durus.Must(durus.Ref[account]{}.Load(tx))
	}
	if edit {
		c.Balance = 1
	}
	f := durus.Must(edited(tx, ref))
	f.Balance = 1

	// Load after Edit, and after Add, gives the same pointer.
	durus.Must(root.Edit(tx)).Accounts = nil
	durus.Must(root.Load(tx)).Accounts = map[string]durus.Ref[account]{}
	durus.Must(ref.Load(tx)).Balance = 2
	n := durus.Must(durus.Add(tx, &account{}))
	durus.Must(n.Load(tx)).Balance = 3
	v := &account{}
	v.Balance = 4
	if _, err := durus.Add(tx, v); err != nil {
		return err
	}
	v.Balance = 5
	return nil
}

// Edited in a function literal, loaded in another one.
func nested(ctx context.Context, db *durus.DB, ref, other durus.Ref[account]) error {
	ref, other = other, ref
	return db.Update(ctx, func(tx *durus.Tx) error {
		func() { durus.Must(ref.Edit(tx)).Balance = 1 }()
		for range 3 {
			durus.Must(ref.Load(tx)).Balance = 1
			durus.Must(other.Load(tx)).Balance = 1 // want `Load gave`
		}
		return nil
	})
}

func (b *bank) Log() int { return len(b.Accounts) }

func unknown(a *account) { // want unknown:"writes0"
	a.Balance = 1
}
