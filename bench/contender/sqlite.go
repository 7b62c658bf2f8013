//go:build !alone

package contender

import (
	"context"
	"database/sql"
	"errors"
)

// sqliteStore is SQLite behind either driver: one table, statements prepared
// once, one connection for writing and a pool for reading, WAL.
type sqliteStore struct {
	readers *sql.DB
	writer  *sql.DB // one connection: SQLite has one writer

	read, get, put, change, next *sql.Stmt
}

const sqliteSchema = `
CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, owner TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ids (next INTEGER NOT NULL);
INSERT INTO ids SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM ids);`

// newSQLite takes over both handles. Those of writer begin their transactions
// with BEGIN IMMEDIATE, so that reading first is no upgrade that fails.
func newSQLite(readers, writer *sql.DB) (Store, error) {
	s := &sqliteStore{readers: readers, writer: writer}
	writer.SetMaxOpenConns(1)
	if _, err := writer.Exec(sqliteSchema); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, p := range []struct {
		stmt **sql.Stmt
		db   *sql.DB
		text string
	}{
		{&s.read, readers, "SELECT id, count, owner, text FROM items WHERE id = ?"},
		{&s.get, writer, "SELECT id, count, owner, text FROM items WHERE id = ?"},
		{&s.put, writer, "INSERT INTO items (id, count, owner, text) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET count = excluded.count, owner = excluded.owner, text = excluded.text"},
		{&s.change, writer, "UPDATE items SET count = ?, owner = ?, text = ? WHERE id = ?"},
		{&s.next, writer, "UPDATE ids SET next = next + ?"},
	} {
		var err error
		if *p.stmt, err = p.db.Prepare(p.text); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *sqliteStore) Put(items []Item) error {
	if len(items) == 1 { // a statement is a transaction
		v := &items[0]
		_, err := s.put.Exec(v.ID, v.Count, v.Owner, v.Text)
		return err
	}
	return s.update(func(tx *sql.Tx) error {
		put := tx.Stmt(s.put)
		for i := range items {
			v := &items[i]
			if _, err := put.Exec(v.ID, v.Count, v.Owner, v.Text); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sqliteStore) update(fn func(tx *sql.Tx) error) error {
	tx, err := s.writer.Begin()
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func scan(stmt *sql.Stmt, id int64, v *Item) error {
	err := stmt.QueryRow(id).Scan(&v.ID, &v.Count, &v.Owner, &v.Text)
	if errors.Is(err, sql.ErrNoRows) {
		return gone(id)
	}
	return err
}

func (s *sqliteStore) Read(ids []int64, use func(*Item) error) error {
	stmt := s.read
	if len(ids) > 1 {
		tx, err := s.readers.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		stmt = tx.Stmt(s.read)
	}
	for _, id := range ids {
		var v Item
		if err := scan(stmt, id, &v); err != nil {
			return err
		}
		if err := use(&v); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqliteStore) Update(ids []int64, change func(*Item)) error {
	return s.update(func(tx *sql.Tx) error {
		get, set := tx.Stmt(s.get), tx.Stmt(s.change)
		for _, id := range ids {
			var v Item
			if err := scan(get, id, &v); err != nil {
				return err
			}
			change(&v)
			if _, err := set.Exec(v.Count, v.Owner, v.Text, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sqliteStore) Empty() error { return s.update(func(*sql.Tx) error { return nil }) }

func (s *sqliteStore) NewIDs(n int) error {
	_, err := s.next.Exec(n)
	return err
}

func (s *sqliteStore) Close() error { return errors.Join(s.readers.Close(), s.writer.Close()) }
