package durus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// undoChildEnv makes the test binary a process that moves money and undoes.
const undoChildEnv = "DURUS_TEST_UNDO_CHILD"

const (
	purses     = 24
	purseMoney = 1000 // in each, to begin with
)

// purse holds money. Stamp is of the transfer that wrote it last, and of no
// other: so no two states of a purse are equal by chance.
type purse struct {
	Balance int64
	Stamp   string
}

type purseRoot struct {
	Purses []Ref[purse]
	Book   BTree[string, int64] // what each transfer has moved, by its stamp
	Moves  Counter              // how many there were
}

var (
	_         = Register[purse]("test.Purse")
	_         = Register[purseRoot]("test.PurseRoot")
	thePurses = NewRoot[purseRoot]("purses")
)

// move is a transfer, and the description of its transaction.
type move struct {
	stamp    string
	from, to int
	amount   int64
}

func (m move) String() string { return fmt.Sprintf("%s %d %d %d", m.stamp, m.from, m.to, m.amount) }

func (m move) do(tx *Tx) error {
	root := Must(thePurses.Load(tx))
	for i, amount := range map[int]int64{m.from: -m.amount, m.to: m.amount} {
		p := Must(root.Purses[i].Edit(tx))
		p.Balance += amount
		p.Stamp = m.stamp
	}
	if err := root.Book.Put(tx, m.stamp, m.amount); err != nil {
		return err
	}
	return root.Moves.Add(tx, 1)
}

// undoChild moves money, undoes what it and others have done, and undoes undos,
// until its standard input ends. It prints a line for each transaction that was
// acknowledged, and one for each undo that others stand against.
func undoChild(path string) int {
	return live(path, Options{MaxRetries: 1000}, func(db *DB, n int) error {
		from := rand.N(purses)
		m := move{fmt.Sprintf("%d.%d", os.Getpid(), n), from, (from + 1 + rand.N(purses-1)) % purses, 1 + rand.Int64N(50)}
		tid, err := undoWork(context.Background(), db, m)
		switch conflict := (*ConflictError)(nil); {
		case errors.As(err, &conflict):
			fmt.Println("done: refused")
		case err != nil:
			return err
		default:
			fmt.Println("done:", tid)
		}
		return nil
	})
}

// undoWork is one transaction of a child: the transfer, an undo of one or two of
// the newest transactions, or both in one.
func undoWork(ctx context.Context, db *DB, m move) (tid TID, err error) {
	last, err := db.LastTID()
	if err != nil {
		return 0, err
	}
	var recent []TID
	for tx, err := range db.Transactions(max(last, 1_000_000)-1_000_000, last) { // of a second
		if err != nil {
			return 0, err
		}
		if tx.Description != "begin" && tx.Description != "" {
			recent = append(recent, tx.TID)
		}
	}
	recent = recent[max(0, len(recent)-5):]
	one := func() TID { return recent[rand.N(len(recent))] }
	kind := rand.N(8)
	if len(recent) < 2 {
		kind = 0
	}
	switch kind {
	case 4, 5:
		return db.Undo(ctx, one())
	case 6:
		if a, b := one(), one(); a != b {
			return db.Undo(ctx, a, b)
		}
	case 7:
		undone := one()
		err := db.Update(ctx, func(tx *Tx) error {
			if err := tx.Undo(undone); err != nil {
				return err
			}
			tx.Describe("", fmt.Sprintf("mend %s %s", undone, m), nil)
			tx.OnCommit(func(t TID) { tid = t })
			return m.do(tx)
		})
		return tid, err
	}
	err = db.Update(ctx, func(tx *Tx) error {
		tx.Describe("", fmt.Sprint("move ", m), nil)
		tx.OnCommit(func(t TID) { tid = t })
		return m.do(tx)
	})
	return tid, err
}

// purseWorld is a state of the model: a plain copy of what is under the root.
type purseWorld struct {
	purses [purses]purse
	book   map[string]int64
	moves  int64
}

func readPurses(tx *Tx) (*purseWorld, error) {
	root := Must(thePurses.Load(tx))
	w := &purseWorld{book: map[string]int64{}, moves: Must(root.Moves.Value(tx))}
	for i, ref := range root.Purses {
		w.purses[i] = *Must(ref.Load(tx))
	}
	for stamp, amount := range root.Book.All(tx) {
		w.book[stamp] = amount
	}
	return w, nil
}

func (w *purseWorld) sum() (n int64) {
	for _, p := range w.purses {
		n += p.Balance
	}
	return n
}

// deed is what a transaction of the model has changed: each thing with its state
// before and behind it.
type deed struct {
	purses map[int][2]purse
	book   map[string][2]int64 // 0: not there
	moves  int64
}

// since is what has changed from an earlier state.
func (w *purseWorld) since(was *purseWorld) *deed {
	d := &deed{map[int][2]purse{}, map[string][2]int64{}, w.moves - was.moves}
	for i, p := range w.purses {
		if p != was.purses[i] {
			d.purses[i] = [2]purse{was.purses[i], p}
		}
	}
	for stamp := range w.book {
		if was.book[stamp] != w.book[stamp] {
			d.book[stamp] = [2]int64{was.book[stamp], w.book[stamp]}
		}
	}
	for stamp, amount := range was.book {
		if _, there := w.book[stamp]; !there {
			d.book[stamp] = [2]int64{amount, 0}
		}
	}
	return d
}

// undo takes a deed back, by the rules of Tx.Undo. It is an error if something
// later depends on it.
func (w *purseWorld) undo(d *deed) error {
	for i, p := range d.purses {
		switch w.purses[i] {
		case p[0]:
		case p[1]:
			w.purses[i] = p[0]
		default:
			return fmt.Errorf("purse %d was changed since: %+v, and was left as %+v", i, w.purses[i], p[1])
		}
	}
	for stamp, amount := range d.book {
		switch w.book[stamp] {
		case amount[0]:
		case amount[1]:
			if w.book[stamp] = amount[0]; amount[0] == 0 {
				delete(w.book, stamp)
			}
		default:
			return fmt.Errorf("the entry of %s was changed since", stamp)
		}
	}
	w.moves -= d.moves
	return nil
}

func (w *purseWorld) move(m move) {
	w.purses[m.from] = purse{w.purses[m.from].Balance - m.amount, m.stamp}
	w.purses[m.to] = purse{w.purses[m.to].Balance + m.amount, m.stamp}
	w.book[m.stamp] = m.amount
	w.moves++
}

// step does in the model what a transaction says that it has done.
func (w *purseWorld) step(description string, deeds map[TID]*deed) error {
	undo := func(words ...string) error {
		var tids []TID
		for _, word := range words {
			tid, err := ParseTID(word)
			if err != nil {
				return err
			}
			tids = append(tids, tid)
		}
		slices.Sort(tids)
		for _, tid := range slices.Backward(tids) {
			d := deeds[tid]
			if d == nil {
				return fmt.Errorf("it undoes %s, which is not before it", tid)
			}
			if err := w.undo(d); err != nil {
				return fmt.Errorf("undo of %s: %w", tid, err)
			}
		}
		return nil
	}
	var m move
	var tid string
	if list, ok := strings.CutPrefix(description, "undo of "); ok {
		return undo(strings.Split(list, ", ")...)
	}
	if _, err := fmt.Sscanf(description, "mend %s %s %d %d %d", &tid, &m.stamp, &m.from, &m.to, &m.amount); err == nil {
		if err := undo(tid); err != nil {
			return err
		}
	} else if _, err := fmt.Sscanf(description, "move %s %d %d %d", &m.stamp, &m.from, &m.to, &m.amount); err != nil {
		return fmt.Errorf("nobody did %q", description)
	}
	w.move(m)
	return nil
}

// Processes move money, undo what they and others have done, and undo undos, and
// some are killed. Every state of the history is what a serial model makes of the
// one before: an undo gives the money back once, nobody's later work goes with it,
// and the sum stays. What was acknowledged is there, and nothing dangles.
func TestUndoProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "purses.durus")
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	first := commit(t, db, func(tx *Tx) error {
		tx.Describe("", "begin", nil)
		root := Must(thePurses.Edit(tx))
		for range purses {
			root.Purses = append(root.Purses, Must(Add(tx, &purse{purseMoney, "begin"})))
		}
		return nil
	})
	start := func() *childProcess { return startChildIn(t, undoChildEnv, path) }
	var said []TID // acknowledged
	refused := 0
	hear := func(c *childProcess) bool {
		line, err := c.out.ReadString('\n')
		if err != nil { // a line that is cut was not said
			return false
		}
		word, ok := strings.CutPrefix(strings.TrimSpace(line), "done: ")
		if !ok {
			t.Fatalf("a child said %q", line)
		}
		if word == "refused" {
			refused++
			return true
		}
		tid, err := ParseTID(word)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, tid)
		return true
	}
	steady := []*childProcess{start(), start()}
	kills := 0
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); kills++ {
		victim := start()
		for range 25 {
			for _, c := range append(steady, victim) {
				if !hear(c) {
					t.Fatal("a child has ended")
				}
			}
			if w := viewed(t, db, readPurses); w.sum() != purses*purseMoney {
				t.Fatalf("the sum is %d: %+v", w.sum(), w)
			}
		}
		if err := victim.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for hear(victim) {
		}
		_ = victim.cmd.Wait() // it was killed
	}
	for _, c := range steady {
		if err := c.in.Close(); err != nil {
			t.Fatal(err)
		}
		for hear(c) {
		}
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("a child that was not killed: %v", err)
		}
	}
	n := explainPurses(t, db, first, said)
	verify(t, db)
	if r, err := db.Verify(t.Context()); err != nil || !r.OK() {
		t.Errorf("verify: %+v, %v", r, err)
	}
	t.Logf("%d kills, %d undos refused, %v", kills, refused, n)
}

// explainPurses holds every state of the history against the model, and looks
// for what was acknowledged. It returns how many transactions of each kind there
// were.
func explainPurses(t *testing.T, db *DB, first TID, said []TID) map[string]int {
	t.Helper()
	read := func(tid TID) (w *purseWorld) {
		if err := db.ViewAt(t.Context(), AtTID(tid), func(tx *Tx) (err error) {
			w, err = readPurses(tx)
			return err
		}); err != nil {
			t.Fatalf("the state at %s: %v", tid, err)
		}
		return w
	}
	last, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	now, deeds, kinds := read(first), map[TID]*deed{}, map[string]int{}
	for tx, err := range db.Transactions(first+1, last) {
		if err != nil {
			t.Fatal(err)
		}
		was := &purseWorld{now.purses, maps.Clone(now.book), now.moves}
		if err := now.step(tx.Description, deeds); err != nil {
			t.Fatalf("transaction %s, %q: %v", tx.TID, tx.Description, err)
		}
		deeds[tx.TID] = now.since(was)
		got := read(tx.TID)
		if got.purses != now.purses || got.moves != now.moves || !maps.Equal(got.book, now.book) {
			t.Fatalf("transaction %s, %q: the state is %+v, and should be %+v", tx.TID, tx.Description, got, now)
		}
		if now.sum() != purses*purseMoney {
			t.Fatalf("transaction %s, %q: the sum is %d", tx.TID, tx.Description, now.sum())
		}
		kind, _, _ := strings.Cut(tx.Description, " ")
		kinds[kind]++
	}
	for _, tid := range said {
		if tid != first && deeds[tid] == nil {
			t.Errorf("transaction %s was acknowledged, and is not in the history", tid)
		}
	}
	return kinds
}
