// Package bench measures durus against what a program would use instead, and
// against the limits of the machine. It is a module of its own, so that nobody
// who embeds durus compiles the others.
//
//	cd bench && go run ./cmd/durusbench           # everything, about fifteen minutes
//	cd bench && go run ./cmd/durusbench --quick   # about two
//
// Timings of a shared machine move, ratios less: contenders run in turn, in
// rounds, and what counts is the median of the ratios of the rounds. What was read
// or written is checked.
//
//	cmd/durusbench  the command
//	workload        what is measured, a file for each workload
//	contender       who is measured, a file for each database
//	child, process  the workloads of several processes: the command runs itself again
//	limit           loops that no database can be faster than
//	measure         rounds, ratios, latencies
//	report          JSON, the table, the page with charts, the aims
//	python          the object databases of Python, where they are installed
//	results         reports that docs/performance.md speaks of, and the gate compares with
//
// The benchmarks of this package itself compare containers with a tree in memory
// and with bbolt, and processes that write into one tree with each other:
//
//	cd bench && go test -run '^$' -bench . -benchtime 1x
package bench
