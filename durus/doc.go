// Package durus is an object database that lives inside Go programs, without a
// server: plain Go structs, connected by typed references, in one file that any
// number of processes may read and write at the same time. A transaction sees
// one consistent state of all objects, and commits all its changes or none.
//
//	type Account struct {
//		Owner   string
//		Balance int64
//		Parent  durus.Ref[Account]
//	}
//	type Bank struct{ Accounts map[string]durus.Ref[Account] }
//
//	var (
//		_    = durus.Register[Account]("bank.Account") // the name in the file
//		_    = durus.Register[Bank]("bank.Bank")
//		bank = durus.NewRoot[Bank]("bank") // where to begin
//	)
//
//	db, err := durus.Open("bank.durus", nil)
//	...
//	err = db.Update(ctx, func(tx *durus.Tx) error {
//		b, err := bank.Edit(tx)
//		...
//		ada, err := durus.Add(tx, &Account{Owner: "ada", Balance: 100})
//		...
//		b.Accounts["ada"] = ada
//		return nil
//	})
//
// docs/guide.md is a tour of all this with programs that run.
//
// # Objects
//
// An object is a struct of a registered type. It is stored as one value, with
// all its fields, slices and maps; what is reached through a Ref is an object
// of its own. Objects begin with Add and live as long as a root leads to them:
// to delete one, unlink it. The space comes back with the next pack.
//
// Load and Peek return values that are shared by the whole program. They may be
// read in any goroutine, for ever, and keep the state of their snapshot. They
// must never be written, nor anything inside of them. Edit returns a private
// copy to write; Add takes over what it is given. Both are yours until the
// transaction ends, and to be read only afterwards. In tests a write to a
// shared object is found out (CheckShared), and cmd/durusvet finds it with go vet.
//
// A type may get new fields at any time. Other changes take a Version, and an
// Upgrade from the one before; docs/evolving-types.md tells how, with old data
// and old programs still around.
//
// # Containers
//
// A slice or a map in an object is stored with it, and written with it. What is
// large, or changed by many, belongs into a container: BTree (sorted), Dict, Set,
// List, Counter. A container is a handle in a field of an object, and has objects
// of its own; a change writes a small part of them. Transactions that change
// different keys of one container do not conflict, whatever the processes; one
// that has read a key, a range or a length conflicts with changes of just that.
//
//	type Bank struct {
//		Accounts durus.BTree[string, durus.Ref[Account]]
//		Opened   durus.Counter
//	}
//
//	b, err := bank.Load(tx) // Load is enough: the tree is not part of b
//	...
//	err = b.Accounts.Put(tx, "ada", ada)
//	...
//	for name, a := range durus.Each(tx, b.Accounts.From(tx, "m")) { ... }
//
// Add, Edit and the first use of a root give every zero handle in an object its
// container.
//
// Many objects of one type, to be found by more than one key, are best kept in a
// Table. Its indexes follow the objects whoever edits them.
//
// # Transactions
//
// View reads: it never waits, never conflicts, and shows what is on the disk
// and cannot be taken back. Update writes: its function is run again when
// another transaction, of any process, changed anything that it had loaded. The
// outcome is as if all transactions had run one after the other.
//
// Errors of writes, of loops and of the disk stick to their transaction (see
// Session), so that one that nobody looked at cannot leave half of the work
// behind: nothing is committed then.
//
// # Time
//
// What was replaced stays in the file until a pack removes it. ViewAt is a View of
// a state of the past, Transactions and History tell who changed what, and when
// (Tx.Describe says why).
//
// # Caveats
//
//   - The function of Update may run several times. What an earlier run left in
//     captured variables is still there: see Result and CheckRerun.
//   - It must not wait for the network or for a person: others may be waiting.
//   - A pointer that was kept from one transaction is not part of the next one:
//     acting on what it says loses updates. Keep the Ref, and load again.
//   - Add takes over what it is given, and the next Edit hands it out: what Load
//     returned must not be added, but a copy of it. The copy's containers are
//     the same ones, as long as their handles are not set to zero.
//   - The values that Edit and Add gave belong to the goroutine that uses the
//     transaction: it may encode them at any call (see Savepoint, and
//     Options.CacheBytes for transactions larger than memory).
//   - An object is written whole. A slice or map of a hundred thousand elements
//     in one object makes every change cost that much, and makes any two
//     changes conflict: use a container.
//   - Values in containers are shared like loaded objects: to change one, change
//     a copy, down to its slices and maps, and Put it.
//   - References of two open handles do not mix (ErrForeign), nor compare equal.
//   - Root.Load in a writable session creates a root that does not exist yet,
//     which is a write.
//   - A long View keeps old states readable, which costs memory and, after a
//     pack, disk space until it ends.
//   - Begin without Commit or Rollback keeps Close waiting for ever.
//   - After ErrUnknownOutcome do not run the transaction again: ask Committed.
//
// # What it may import
//
// Packages storage, vfs, internal/codec and internal/collection of this module; filestorage and the
// back ends of vfs in open.go only. Everything else knows storage.Storage.
//
// # Invariants
//
//   - A shared object is never written and never was an edited one. It is
//     decoded from its record, and cached by the record's position.
//   - A transaction's read set holds every object whose state it was told,
//     absence included, but for Peek, the names of roots, and which classes have
//     tables (table_record.go).
//   - Nodes of containers are not in it: what was read of a container is, by key,
//     range and length, and is looked up again when a node has changed. A session
//     changes no node before it commits.
//   - Nothing of a transaction reaches the storage but in its one Commit.
//   - What a program can still change, through a pointer that it got from Edit
//     or Add or through anything inside of it, is in memory at commit. Only
//     what it cannot reach any more is put aside.
//   - over is set before a snapshot is released, and looked at after it was
//     used: who outlives a transaction gets ErrTxDone, not another state.
//
// # Locks
//
// A transaction takes none to begin, to load what is cached, or to end. The
// mutexes of this package (cache.mu, DB.renew, Types.mu, tagSet.mu, watched.mu,
// sharedCheck.mu) are leaves: nothing else is locked, and no storage, encoder
// or function of the program's is called, while one is held.
package durus
