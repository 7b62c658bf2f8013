//go:build !cgo

package onsqlite

import "github.com/durusdb/durus/bench/oo7"

// Contenders is SQLite in Go: this program was built without cgo.
var Contenders = []oo7.Contender{Go}
