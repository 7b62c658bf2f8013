package durus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// MigrateProgress tells how far a Migrate has got.
type MigrateProgress struct {
	Done     uint64 // objects looked at
	Total    uint64 // objects in the database; others may add some meanwhile
	Migrated uint64 // objects rewritten
}

// MigrateReport tells what a Migrate did.
type MigrateReport struct {
	Objects  uint64 // looked at
	Migrated uint64 // rewritten by this call
	Unknown  uint64 // of classes that nobody registered: left as they are
	TooNew   uint64 // of a higher version than this program's: left as they are
	Failed   uint64 // that could not be upgraded: left as they are

	Failures []MigrateFailure // why: the first hundred
}

// MigrateFailure is an object that could not be upgraded.
type MigrateFailure struct {
	OID OID
	Err error
}

// Migrate rewrites every object that would be upgraded when it is loaded: those
// of older versions than this program's (see Upgrade) and of old names of their
// class (see Alias). Nobody has to call it, since an old object is upgraded
// whenever it is loaded. It is for those who want to drop an older type and
// its step from the program, or the cost of the steps: that is possible once
// Migrate has left nothing behind and no older program writes any more.
//
// It goes through all objects that the database holds, in transactions of at
// most a thousand objects and some megabytes, while others read and write. Any
// number of processes may migrate one database at the same time; they begin at
// different places and do not repeat each other's work. It may be stopped at any
// moment, by ctx or by a kill, and called again: what is done stays done, and
// is passed over quickly. Objects that an older program writes
// meanwhile may be missed: end those programs first, or call it again.
//
// Objects that nothing refers to any more, but that no Pack has removed, are
// rewritten as well: Pack first if they are many. History keeps the old
// records, until the next Pack.
//
// progress may be nil. It is called on the caller's goroutine.
//
// An object that cannot be upgraded stays as it is and is reported, and the others
// are migrated; then the error wraps the first one's. Other errors are those of Update,
// and end it; the report tells what was done until then.
func (db *DB) Migrate(ctx context.Context, progress func(MigrateProgress)) (MigrateReport, error) {
	m := &migration{db: db, ctx: ctx, progress: progress}
	err := m.run()
	if n := m.report.Failed; err == nil && n > 0 {
		err = fmt.Errorf("durus: %d objects in %s could not be upgraded and stay as they are; the first: %w", n, db.path, m.report.Failures[0].Err)
	}
	return m.report, err
}

const (
	migrateScan    = 1 << 16 // objects looked at in one snapshot
	migrateObjects = 1000    // rewritten in one transaction
	migrateBytes   = 4 << 20 // of payloads read in one transaction; one object may be larger
	maxFailures    = 100
)

// migration is one call of Migrate.
type migration struct {
	db       *DB
	ctx      context.Context
	progress func(MigrateProgress)
	total    uint64
	report   MigrateReport
}

func (m *migration) run() error {
	if m.db.opts.ReadOnly {
		return fmt.Errorf("%w: %s was opened with Options.ReadOnly", ErrReadOnly, m.db.path)
	}
	// Another process that migrates begins elsewhere.
	tx, err := m.db.begin(m.ctx, false, 1)
	if err != nil {
		return err
	}
	m.total = m.db.st.Stats().Objects
	tx.end()
	start := OID(1 + rand.Uint64N(m.total+1))
	if err := m.walk(start, storage.MaxOID); err != nil {
		return err
	}
	return m.walk(1, start-1)
}

// walk migrates the objects from <= oid <= to.
func (m *migration) walk(from, to OID) error {
	for from <= to {
		old, next, err := m.scan(from, to)
		if err != nil {
			return err
		}
		if err := m.rewrite(old); err != nil {
			return err
		}
		if m.progress != nil {
			m.progress(MigrateProgress{Done: m.report.Objects, Total: max(m.total, m.report.Objects), Migrated: m.report.Migrated})
		}
		from = next
	}
	return nil
}

// scan looks for the first objects to migrate, in a snapshot that it does not
// keep: whoever keeps one makes the storage remember what changes meanwhile.
// next is where to go on.
func (m *migration) scan(from, to OID) (old []OID, next OID, err error) {
	tx, err := m.db.begin(m.ctx, false, 1)
	if err != nil {
		return nil, 0, err
	}
	defer tx.end()
	c := &tx.c
	next = to + 1
	n := 0
	for place, err := range c.snap.Objects(from) {
		if err != nil {
			return nil, 0, c.readError(err)
		}
		if place.OID > to {
			break
		}
		if n++; n > migrateScan || len(old) == migrateObjects {
			next = place.OID
			break
		}
		if n%1024 == 0 && m.ctx.Err() != nil {
			return nil, 0, m.ctx.Err()
		}
		m.report.Objects++
		class, err := c.classAt(place)
		var damaged *CorruptError
		switch {
		case errors.As(err, &damaged):
			m.failed(place.OID, err)
			continue
		case err != nil:
			return nil, 0, err
		}
		switch info := class.info(); {
		case info == nil && !strings.HasPrefix(class.name, storage.ReservedClasses):
			m.report.Unknown++
		case info == nil || class.current(info):
		case class.version > info.version:
			m.report.TooNew++
		default:
			old = append(old, place.OID)
		}
	}
	return old, next, nil
}

func (m *migration) failed(oid OID, err error) {
	m.report.Failed++
	if len(m.report.Failures) < maxFailures {
		m.report.Failures = append(m.report.Failures, MigrateFailure{oid, err})
	}
}

// rewrite migrates these objects, in as many transactions as it takes.
func (m *migration) rewrite(oids []OID) error {
	limit := len(oids)
	for len(oids) > 0 {
		limit = min(limit, len(oids))
		b, err := m.batch(oids[:limit])
		var damaged *CorruptError
		switch {
		case err == nil:
			m.report.Migrated += b.migrated
			for _, f := range b.failures {
				m.failed(f.OID, f.Err)
			}
			oids = oids[b.done:]
			limit = min(2*limit, migrateObjects)
		case errors.As(err, &damaged) && damaged.OID != 0 && b.done > 0 && oids[b.done-1] == damaged.OID:
			// It ends a transaction, but is about one object: again without it.
			m.failed(damaged.OID, err)
			oids = append(oids[:b.done-1:b.done-1], oids[b.done:]...)
		case limit > 1 && (errors.Is(err, ErrConflict) || errors.Is(err, ErrDangling) || errors.Is(err, ErrTooLarge)):
			limit /= 2 // what one object does must not keep the others
		case errors.Is(err, ErrDangling) || errors.Is(err, ErrTooLarge):
			m.failed(oids[0], err)
			oids = oids[1:]
		default:
			return err
		}
	}
	return nil
}

// batch is what one transaction did.
type batch struct {
	done     int // objects looked at
	migrated uint64
	failures []MigrateFailure
}

// batch migrates the first of these objects in one transaction.
func (m *migration) batch(oids []OID) (b batch, err error) {
	err = m.db.Update(m.ctx, func(tx *Tx) error {
		b = batch{}
		read := 0
		for _, oid := range oids {
			if read >= migrateBytes {
				break
			}
			b.done++
			n, err := tx.c.migrate(oid)
			switch {
			case tx.c.err() != nil || m.ctx.Err() != nil:
				return err
			case err != nil:
				b.failures = append(b.failures, MigrateFailure{oid, err})
			case n > 0:
				b.migrated++
			}
			read += n
		}
		tx.Describe("", "durus: migrate", nil)
		return nil
	})
	return b, err
}

// migrate edits an object so that it is stored anew, and returns the size of
// its payload; 0 when there is nothing to do any more.
func (c *core) migrate(oid OID) (int, error) {
	pos, err := c.find(oid)
	if err != nil {
		if isNotFound(err) {
			err = nil
		}
		return 0, err
	}
	class, err := c.classAt(storage.Place{OID: oid, Position: pos})
	if err != nil {
		return 0, err
	}
	info := class.info()
	if info == nil || class.current(info) || class.version > info.version {
		return 0, nil // somebody else did it
	}
	rec, err := c.read(oid, pos)
	if err != nil {
		return 0, err
	}
	v, info, extra, err := c.decode(rec)
	if err != nil {
		return 0, err
	}
	// What cannot be encoded must not keep the others of the transaction.
	w := codec.Writer{Out: c.own}
	if err := info.plan.Encode(&w, v, extra); err != nil {
		return 0, fmt.Errorf("durus: object %s of class %s in %s cannot be stored: %w", oid, class, c.db.path, err)
	}
	c.takeEdited(&edited{oid: oid, info: info, value: v, extra: extra}, pos)
	return len(rec.Payload), nil
}
