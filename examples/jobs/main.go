// Command jobs is a queue of commands, shared by any number of processes that
// add to it and work on it.
//
//	go run ./examples/jobs add echo hello
//	go run ./examples/jobs -tries 2 add false
//	go run ./examples/jobs work                in several terminals
//	go run ./examples/jobs status
//
// A worker takes a job for a while, its lease, and reports how it went. If it
// is killed, or the machine is, the lease runs out and another worker takes the
// job. A job that fails is tried again, later each time, and is put aside after
// its last attempt; status tells why.
//
// So a job is begun once at least, and finished in the queue exactly once. What
// it does outside of the database may happen twice, as with every queue: when
// its worker was killed between doing and reporting.
//
// What to look at: queue.go needs no sweeper, no heartbeat and no locks. One
// sorted set says when each job is to be looked at next.
package main
