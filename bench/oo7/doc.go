// Package oo7 is the OO7 benchmark of object databases (Carey, DeWitt, Naughton,
// SIGMOD 1993), checked against the source that its authors published: a design
// library of modules, assemblies, composite parts and atomic parts, which is
// traversed, queried, updated and rebuilt.
//
// The packages beside this one are the contenders: the same object model as a
// good user of each database would have it. A Plan says what all of them store,
// and what each operation has to count; a run that counts anything else fails.
//
// Where the paper and the source differ: Insert adds ten composite parts
// (source; paper: five), each to ten base assemblies. Q5 counts each pair of a
// base assembly and a newer private part of it (source), not base assemblies.
// Q8 joins by the docId of the part. T5 counts the documents that it changed: a
// composite part that is met twice counts once. Reorg1 and Reorg2 make the parts
// anew as they were generated.
package oo7
