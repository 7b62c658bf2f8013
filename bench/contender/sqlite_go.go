//go:build !alone

package contender

import (
	"database/sql"

	_ "modernc.org/sqlite"
)

func openGoSQLite(path string, o Options) (Store, error) {
	dsn := "file:" + path + "?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous"
	if o.Durable {
		dsn += "(FULL)"
	} else {
		dsn += "(OFF)"
	}
	writer, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	readers, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	return newSQLite(readers, writer)
}
