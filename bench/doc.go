// Package bench measures durus against what a program would use instead, and
// against the limits of the machine. It is a module of its own, so that nobody
// who embeds durus compiles the others.
//
// Timings of a shared machine move, ratios less: contenders run in turn, in
// rounds, in one process, and each benchmark reports the median of the ratios of
// its rounds. What was read or written is checked.
//
//	cd bench && go test -run '^$' -bench . -benchtime 1x
package bench
