// Package ondurus is OO7 as a program for durus has it: plain structs that refer
// to each other, and BTrees where the benchmark wants an index.
package ondurus
