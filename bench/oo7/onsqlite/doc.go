// Package onsqlite is OO7 as a program for SQLite has it: a table for each class
// and each relation, indexes, statements that are prepared once, WAL with
// synchronous=FULL. What belongs to a composite part is fetched by one query, not
// part by part: that is how a user of SQL avoids the cost of a query each.
package onsqlite
