package migrating

import (
	"context"
	"database/sql"
	"fmt"
)

const sqlSchema = `
CREATE TABLE product  (id INTEGER PRIMARY KEY, name TEXT UNIQUE, stock INTEGER CHECK (stock >= 0));
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE "order"  (id INTEGER PRIMARY KEY, count INTEGER,
                       customer INTEGER REFERENCES customer, product INTEGER REFERENCES product);
CREATE INDEX order_customer ON "order" (customer);`

func sqlPlace(ctx context.Context, db *sql.DB, customer, product string, count int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	done, err := tx.ExecContext(ctx, `UPDATE product SET stock = stock - ?1 WHERE name = ?2 AND stock >= ?1`, count, product)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return errSoldOut
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO "order" (count, customer, product)
		SELECT ?, c.id, p.id FROM customer c, product p WHERE c.name = ? AND p.name = ?`, count, customer, product)
	if err != nil {
		return err
	}
	return tx.Commit()
}

func sqlOrders(ctx context.Context, db *sql.DB, customer string) (lines []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT o.count, p.name FROM "order" o
		JOIN customer c ON c.id = o.customer JOIN product p ON p.id = o.product
		WHERE c.name = ? ORDER BY o.id`, customer)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var count int
		var name string
		if err := rows.Scan(&count, &name); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%d %s", count, name))
	}
	return lines, rows.Err()
}
