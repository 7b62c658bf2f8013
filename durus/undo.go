package durus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/durusdb/durus/storage"
)

// Undo takes back what transactions have done, in a transaction of its own, and
// returns that one's id; see Tx.Undo. Its description in the file's history
// says what it has undone. To redo, undo it.
//
// If there is nothing to do, because everything is as it was before, it commits
// nothing and returns the newest transaction.
//
// Errors: *ConflictError if later changes depend on what is to be undone, which
// running it again would not change; the others of Tx.Undo, and those of Update.
func (db *DB) Undo(ctx context.Context, tids ...TID) (TID, error) {
	var done TID
	err := db.Update(ctx, func(tx *Tx) error {
		if err := tx.Undo(tids...); err != nil {
			return err
		}
		if tx.c.changed() { // a description alone would be committed
			tx.Describe("", describeUndo(tids), nil)
		}
		tx.OnCommit(func(tid TID) { done = tid })
		return nil
	})
	return done, err
}

// describeUndo is the description of a transaction that undoes others.
func describeUndo(tids []TID) string {
	const most = 8
	words := make([]string, 0, most+1)
	for i, tid := range tids {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(tids)-i))
			break
		}
		words = append(words, tid.String())
	}
	return "undo of " + strings.Join(words, ", ")
}

// Undo takes back what earlier transactions have done, as part of this one, the
// newest first, whatever the order in which they are given. It reads only what
// those wrote, needs no Go types, and keeps what comes back in memory until the
// commit.
//
// An object gets the state back that it had before, byte for byte, of whatever
// version of its class. It must be as the undone transaction left it. If
// everything that it has changed is as it was before, there is nothing to do; if only
// some of it is, that is a conflict: a later transaction may have made it so by
// chance. If an object's class has a Merge, that may settle a
// difference (base: what the undone transaction left; theirs: what is there
// now; mine: what was there before). A container is undone by what changed in
// it: a key that was put, changed or deleted gets its old value back, or goes
// again, whatever became of other keys; so does a value in a List, but where
// values were moved, by an append, too, the list must be the same from there to
// its end. A Counter is added the opposite to, whatever its value is.
//
// An object that the undone transaction has made stays where it is, with
// nothing that leads to it, until the next pack; it must be as it was made.
// Undoing the undo leads to it again.
//
// What this transaction has changed before counts: undoing a later
// transaction first makes an earlier one possible. After it, everything can be
// read and changed as usual. What others commit meanwhile conflicts as with
// any write.
//
// Errors, which stick: *ConflictError if something that was changed later
// depends on it, which names the objects (Base is the undone transaction,
// Committed the one that stands against it); ErrDangling if a state that would
// come back refers to an object that a pack has removed; ErrPacked if a pack has
// removed the transaction or the state before it; ErrNotFound if there is no such
// transaction in the state that this one sees; ErrReadOnly in a View; an error for a
// transaction that this one has undone already.
func (tx *Tx) Undo(tids ...TID) error { return tx.c.stick(tx.undo(tids, nil)) }

// Undone is a part of what an Undo would do; see DB.PlanUndo.
type Undone struct {
	OID   OID
	Class string // its name, without version
	// What comes back of a container: "key \"ada\" goes", "index 3 comes back".
	// Empty for an object, which comes back as a whole.
	Change string
}

// PlanUndo tells what Undo would do now, and writes nothing. It may be asked of
// a database that was opened with Options.ReadOnly. The errors are those of Undo.
func (db *DB) PlanUndo(ctx context.Context, tids ...TID) ([]Undone, error) {
	tx, err := db.begin(ctx, false, 1)
	if err != nil {
		return nil, err
	}
	defer tx.end()
	tx.c.work, tx.c.writable, tx.c.quick = new(work), true, false // nobody commits it
	plan := []Undone{}
	seen := map[Undone]bool{} // several transactions may have changed one thing
	err = tx.undo(tids, func(u Undone) {
		if !seen[u] {
			seen[u] = true
			plan = append(plan, u)
		}
	})
	return plan, err
}

func (tx *Tx) undo(tids []TID, report func(Undone)) error {
	c := &tx.c
	if err := c.mayWrite(); err != nil {
		return err
	}
	if err := c.err(); err != nil {
		return err
	}
	if len(tids) == 0 {
		return fmt.Errorf("%w: Undo of no transaction: say which", errWrite)
	}
	order := slices.Clone(tids)
	slices.SortFunc(order, func(a, b TID) int { return cmp.Compare(b, a) })
	for _, tid := range order {
		if slices.Contains(tx.undone, tid) {
			return fmt.Errorf("%w: transaction %s was undone in this transaction already: give each one once", errWrite, tid)
		}
		if err := c.undo(tid, report); err != nil {
			return err
		}
		tx.undone = append(tx.undone, tid)
	}
	return nil
}

// changed tells whether the session may have something to commit.
func (c *core) changed() bool {
	return len(c.dirty) > 0 || slices.ContainsFunc(c.order, pending.changed)
}

// undoing is the undo of one transaction.
type undoing struct {
	c             *core
	info          storage.Transaction
	before, after storage.Snapshot // the states around it
	report        func(Undone)     // nil: nobody wants to know

	rows      []row // what may have to be in step with indexes
	conflicts []ConflictObject
	changed   bool             // something came back
	settled   []ConflictObject // what was as before already: conflicts, if something came back
}

// undo undoes one transaction.
func (c *core) undo(tid TID, report func(Undone)) error {
	u := &undoing{c: c, report: report}
	if err := u.find(tid); err != nil {
		return err
	}
	defer u.release()
	f, err := u.footprint()
	if err != nil {
		return err
	}
	for _, undo := range []func(*footprint) error{u.objects, u.containers, u.counters, u.roots} {
		if err := undo(f); err != nil {
			return err
		}
	}
	if u.changed {
		u.conflicts = append(u.conflicts, u.settled...)
	}
	if len(u.conflicts) == 0 {
		if err := u.tables(); err != nil {
			return err
		}
	}
	if len(u.conflicts) > 0 {
		return &undoError{tid, &ConflictError{Objects: u.conflicts}}
	}
	return nil
}

// undoError is the conflict of an Undo.
type undoError struct {
	tid      TID
	conflict *ConflictError
}

func (e *undoError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "durus: transaction %s cannot be undone, because later ones depend on it", e.tid)
	for i, o := range e.conflict.Objects {
		if i == 3 {
			fmt.Fprintf(&b, " and %d more", len(e.conflict.Objects)-i)
			break
		}
		sep := ":"
		if i > 0 {
			sep = ";"
		}
		fmt.Fprintf(&b, "%s object %s (%s): %s", sep, o.OID, o.Class, o.Reason)
		if o.Committed != 0 {
			fmt.Fprintf(&b, ", transaction %s", o.Committed)
		}
	}
	b.WriteString("; undo those, too, or change it by hand")
	return b.String()
}

func (e *undoError) Unwrap() error { return e.conflict }

// find looks the transaction up, and the states around it.
func (u *undoing) find(tid TID) error {
	c := u.c
	if tid == 0 || tid > c.snap.TID() {
		return u.absent(tid)
	}
	h, err := c.db.historian()
	if err != nil {
		return err
	}
	for t, err := range c.db.st.Transactions(tid, tid) {
		if err != nil {
			return err
		}
		u.info = t
	}
	if u.info.TID != tid {
		return u.absent(tid)
	}
	for { // both of one file: a pack may come between
		if u.after, err = h.BeginAt(c.ctx, tid); err != nil {
			return err
		}
		if u.before, err = h.BeginAt(c.ctx, tid-1); err != nil {
			u.after.Release()
			return err
		}
		if u.before.Lineage() == u.after.Lineage() {
			return nil
		}
		u.release()
	}
}

func (u *undoing) absent(tid TID) error {
	return fmt.Errorf("%w: there is no transaction %s in %s at transaction %s, which this one sees: History and durusctl log tell which there are",
		ErrNotFound, tid, u.c.db.path, u.c.snap.TID())
}

func (u *undoing) release() {
	u.before.Release()
	u.after.Release()
}

// maxConflicts is how many objects the error of an Undo names.
const maxConflicts = 16

// conflict notes what stands against the undo: the state of object at, which
// is oid or a node of it.
func (u *undoing) conflict(oid OID, class, reason string, at OID) {
	u.conflicts = u.note(u.conflicts, oid, class, reason, at)
}

// settle notes what is already as it was before. Where all is, there is nothing
// to do; where only some is, a later transaction may have made it so by chance
// and not to undo anything, and what comes back beside it would count twice.
func (u *undoing) settle(oid OID, class, what string, at OID) {
	u.settled = u.note(u.settled, oid, class, what+" is what it was before, and other things that were changed with it are not", at)
}

func (u *undoing) note(list []ConflictObject, oid OID, class, reason string, at OID) []ConflictObject {
	if len(list) == maxConflicts {
		return list
	}
	o := ConflictObject{OID: oid, Class: class, Base: u.info.TID, Reason: reason}
	if pos, err := u.c.snap.Find(at); err == nil {
		if tid, err := u.c.snap.WrittenBy(at, pos); err == nil && tid > o.Base {
			o.Committed = tid
		}
	}
	return append(list, o)
}

func (u *undoing) done(oid OID, class, change string) {
	u.changed = true
	if u.report != nil {
		u.report(Undone{oid, class, change})
	}
}

// exists refuses a state that refers to an object which is not there any more.
func (u *undoing) exists(from OID, to ...OID) error {
	for _, oid := range to {
		if _, err := u.c.snap.Find(oid); isNotFound(err) {
			return fmt.Errorf("%w: undo of transaction %s would bring back a state of object %s that refers to object %s, which a pack has removed from %s: change it by hand",
				ErrDangling, u.info.TID, from, oid, u.c.db.path)
		} else if err != nil {
			return u.c.stick(err)
		}
	}
	return nil
}
