//go:build cgo && !alone

package contender

import (
	"database/sql"

	_ "github.com/mattn/go-sqlite3"
)

const noCgoSQLite = ""

func openCgoSQLite(path string, o Options) (Store, error) {
	dsn := "file:" + path + "?_journal_mode=WAL&_busy_timeout=20000&_synchronous="
	if o.Durable {
		dsn += "FULL"
	} else {
		dsn += "OFF"
	}
	writer, err := sql.Open("sqlite3", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	readers, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	return newSQLite(readers, writer)
}
