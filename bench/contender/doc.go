// Package contender holds the databases that are compared, behind one small
// interface, each written as a good user of that system would write it:
// prepared statements, pooled encoders, batches, the recommended settings.
//
// All of them store the same Go objects. Key-value stores hold msgpack under
// eight-byte keys, SQLite holds columns, durus holds the objects.
package contender
