// Package migrating holds the programs of docs/migrating.md: one small shop, as
// it is written with other databases and with durus. Each places an order and
// lists a customer's orders; the test holds all of them to the same answers.
package migrating
