// Package torture holds rings of real processes on real files: they commit,
// are killed, stopped and tripped, and afterwards the checkers of package
// history judge what every one of them was told. It has no code of its own but
// tests, and may import everything.
//
// # How a ring works
//
// The test binary runs itself again: with DURUS_CHILD set it plays the role
// of that name instead of running tests. A child is told what to do by one JSON
// argument and ends when its standard input does, so none outlives its test;
// Pdeathsig covers a test that is killed itself. Signals go to own children
// only, by pid. Children write down each transaction before it begins and after
// it returned; a fresh process reads the final log with a decoder of its own.
//
// # What must hold
//
//   - What was acknowledged is in the log once and whole, whoever was killed.
//   - The history is strictly serializable, by two checkers that do not share
//     a line (three in a small ring).
//   - A run that shows too little (commits, conflicts, kills) fails, and so
//     does one after which the checkers would not notice a broken engine
//     (mistakes_test.go).
//
// A failed ring keeps its database and event files and says where; it prints
// its seed always. TestTortureChaos has no history and no checkers: it does
// everything at once, and judges each call and each state by itself.
//
// DURUS_SEED makes children choose the same transactions again, though not the
// same interleaving. DURUS_KILL_SECONDS makes TestKill and TestTortureChaos
// longer, DURUS_CHAOS narrows the latter, DURUS_COPIES makes the copies under load
// more, and DURUS_TORTURE (or DURUS_CRASH_STATES) turns on the tests of the tests.
//
// The rings are for Linux: they need Pdeathsig, /proc/locks and flock.
package torture
