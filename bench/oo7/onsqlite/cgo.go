//go:build cgo

package onsqlite

import (
	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"

	"github.com/durusdb/durus/bench/oo7"
)

// Contenders are SQLite in C and in Go.
var Contenders = []oo7.Contender{
	{Name: "sqlite-c", Open: func(dir string) (oo7.Store, error) {
		return open("sqlite3", dir, "?_journal_mode=WAL&_synchronous=FULL&_cache_size=-262144")
	}},
	Go,
}
