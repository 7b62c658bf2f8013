//go:build !alone

package contender

// peers are the databases that durus is compared with.
func peers() []Contender {
	return []Contender{
		{Name: "bbolt", Open: openBolt},
		{Name: "sqlite-cgo", Processes: true, Skip: noCgoSQLite, Open: openCgoSQLite},
		{Name: "sqlite-go", Processes: true, Open: openGoSQLite},
		{Name: "badger", Open: openBadger},
		{Name: "pebble", Open: openPebble},
		{Name: "buntdb", Open: openBunt},
		{Name: "lmdb", Processes: true, Skip: noLMDB, Open: openLMDB},
	}
}
