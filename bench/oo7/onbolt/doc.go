// Package onbolt is OO7 as a program for bbolt has it: a bucket for each class,
// ids as keys, msgpack values, and buckets for the indexes. Connections are keyed
// by the part that they leave, so that those of a composite part lie together.
package onbolt
