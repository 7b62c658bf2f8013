// Package fault lets the operations of a storage go wrong, by rules that are
// data:
//
//	disk := fault.New(lower, seed, fault.Rule{
//		Ops:    wrap.Append,
//		Path:   "*.db",
//		Nth:    3,
//		Effect: fault.Short(10, syscall.ENOSPC),
//	})
//	remove := disk.Add(fault.Rule{Ops: wrap.Sync, Times: -1, Effect: fault.Pretend()})
//	...
//	hits := remove()
//
// A Rule says which calls it befalls and what becomes of them. Rules may be
// added and removed while others work. They lie over each other, the first one
// outermost: a call that one keeps from the storage does not reach those behind
// it, and a rule counts only the calls that reach it. The same seed, rules and
// order of operations give the same faults; two goroutines whose order is left
// to chance leave to chance whom a rule meets.
//
// Failures keep to the contract of package vfs (see package wrap): the error of
// an opening stays, that of a Write comes back from Commit, and a Commit that is
// reported as failed after it was done Is vfs.ErrUnknownOutcome. A lock that was
// taken and is reported as failed is given back. Where a failure is no error at
// all (Pretend, FlipBit, LoseLocks, StaleSize) the contract is broken on
// purpose.
//
// Over an asynchronous storage a call that is answered with vfs.ErrAgain does
// not count, and meets the rules again when it is repeated; what waits there
// lets the caller wait. Below one (async over fault) each operation is one
// call.
//
// Bytes that are read through vfs.Mapper are out of reach: Mask can take the
// ability away.
//
// Package fault imports the packages vfs and vfs/wrap and nothing else of this
// module.
package fault
