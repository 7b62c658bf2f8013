package onsqlite

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/durusdb/durus/bench/oo7"
)

// Go is SQLite translated to Go, modernc.org/sqlite.
var Go = oo7.Contender{Name: "sqlite", Open: func(dir string) (oo7.Store, error) {
	return open("sqlite", dir, "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-262144)")
}}

// store has one connection, so that its statements are prepared once.
type store struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt
}

func open(driver, dir, params string) (oo7.Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, "file:"+filepath.Join(dir, "oo7.sqlite")+params)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &store{db, make(map[string]*sql.Stmt)}, nil
}

func (s *store) Close() error {
	var errs []error
	for _, stmt := range s.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, s.db.Close())...)
}

func (s *store) View(fn func(oo7.Tx) error) error { return s.run(fn, "BEGIN") }

func (s *store) Update(fn func(oo7.Tx) error) error { return s.run(fn, "BEGIN IMMEDIATE") }

// run begins by hand: statements of the connection need no copy for each
// transaction then, as those of a sql.Tx do.
func (s *store) run(fn func(oo7.Tx) error, begin string) error {
	if err := s.exec(begin); err != nil {
		return err
	}
	if err := fn(&tx{store: s}); err != nil {
		return errors.Join(err, s.exec("ROLLBACK"))
	}
	return s.exec("COMMIT")
}

func (s *store) stmt(query string) (*sql.Stmt, error) {
	if stmt := s.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.db.Prepare(query)
	if err == nil {
		s.stmts[query] = stmt
	}
	return stmt, err
}

func (s *store) exec(query string, args ...any) error {
	stmt, err := s.stmt(query)
	if err == nil {
		_, err = stmt.Exec(args...)
	}
	return err
}

// one reads a single row.
func (s *store) one(query string, args []any, into ...any) error {
	stmt, err := s.stmt(query)
	if err != nil {
		return err
	}
	return stmt.QueryRow(args...).Scan(into...)
}

// each reads rows into variables, and calls f for each row. f cannot use the
// connection.
func (s *store) each(query string, args []any, f func(), into ...any) error {
	stmt, err := s.stmt(query)
	if err != nil {
		return err
	}
	rows, err := stmt.Query(args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return errors.Join(err, rows.Close())
		}
		f()
	}
	return errors.Join(rows.Err(), rows.Close())
}

// tx is a transaction.
type tx struct {
	*store
	seen oo7.Seen
}
