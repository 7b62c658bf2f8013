// Package measure turns noisy timings into figures that can be compared: it runs
// contenders in turn, in rounds, and keeps for each the ratio of its round to
// durus of the same round. What made a round slow (another process, the disk,
// the clock of the processor) made it slow for both.
package measure
