package durus

import (
	"errors"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/storage"
)

// damage changes the newest record of an object in the store.
func (m *memStore) damage(oid OID, change func(*storage.Record)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.records[m.newest[oid]-1])
}

// Damaged records are told apart: what it is, where, and that record alone.
func TestDamagedRecords(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*storage.Record)
		want   error
		sticks bool
	}{
		"payload": {func(r *storage.Record) { r.Payload = []byte{0xdc, 0xff, 0xff} }, ErrCorrupt, true},
		"empty":   {func(r *storage.Record) { r.Payload = nil }, ErrCorrupt, true},
		"class":   {func(r *storage.Record) { r.Class = 99 }, ErrCorrupt, true},
		"codec":   {func(r *storage.Record) { r.Codec = 77 }, ErrTooNew, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := memBed(t)
			db, err := b.open(Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			ra, rb := openAccounts(t, db, 1, 2)
			b.mem.damage(ra.OID(), c.change)
			err = db.View(t.Context(), func(tx *Tx) error {
				_, err := ra.Load(tx)
				wantErr(t, err, c.want)
				if !strings.Contains(err.Error(), ra.String()) {
					t.Errorf("%v does not name object %s", err, ra)
				}
				if _, err := rb.Load(tx); err != nil {
					t.Errorf("another object: %v", err)
				}
				return nil
			})
			var corrupt *CorruptError
			if (err != nil) != c.sticks || c.sticks && (!errors.As(err, &corrupt) || corrupt.OID != ra.OID() || corrupt.Path != "test.durus") {
				t.Errorf("View: %v", err)
			}
		})
	}
}

// A field whose type was changed in the program is not silently something else.
func TestFieldTypeChanged(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		ra, _ := openAccounts(t, b.db(), 1, 2)
		type numbered struct{ Owner int }
		types := NewTypes()
		RegisterIn[numbered](types, "test.Account")
		view(t, b.db(Options{Types: types}), func(tx *Tx) error {
			_, err := RefTo[numbered](ra.OID()).Load(tx)
			wantErr(t, err, ErrType)
			for _, word := range []string{"Owner", "test.Account", ra.String()} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not name %s", err, word)
				}
			}
			return nil
		})
	})
}

// nosy loads while it is encoded.
type nosy struct {
	To  Ref[account]
	tx  *Tx
	got string
}

func (n *nosy) EncodeMsgpack(e *msgpack.Encoder) error {
	if n.tx != nil {
		a, err := n.To.Load(n.tx)
		if err != nil {
			return err
		}
		n.got = a.Owner
	}
	return e.Encode(n.To)
}

func (n *nosy) DecodeMsgpack(d *msgpack.Decoder) error { return d.Decode(&n.To) }

var _ = Register[nosy]("test.Nosy")

// Encoders may use the session, also when the checks call them.
func TestEncoderLoads(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db(Options{Check: CheckShared})
		ra, _ := openAccounts(t, db, 1, 2)
		root := NewRoot[nosy]("nosy")
		update(t, db, func(tx *Tx) error {
			n := Must(root.Edit(tx))
			n.To, n.tx = ra, tx
			return nil
		})
		view(t, db, func(tx *Tx) error {
			n := Must(root.Load(tx))
			n.tx = tx // no stored field: it is not seen as a write
			return nil
		})
		view(t, db, func(tx *Tx) error {
			n := Must(root.Load(tx))
			if n.tx = nil; n.got != "a" {
				t.Errorf("the encoder of the shared object got %q", n.got)
			}
			return nil
		})
	})
}

// custom writes its references itself.
type custom struct {
	one Ref[account]
	two AnyRef
}

func (c custom) EncodeMsgpack(e *msgpack.Encoder) error {
	return errors.Join(e.EncodeArrayLen(2), e.Encode(c.one), e.Encode(c.two))
}

func (c *custom) DecodeMsgpack(d *msgpack.Decoder) error {
	_, err := d.DecodeArrayLen()
	return errors.Join(err, d.Decode(&c.one), d.Decode(&c.two))
}

var _ = Register[custom]("test.Custom")

// References in custom encoders keep their objects alive; outside of a
// database they cannot be encoded, because nobody would know.
func TestCustomEncoders(t *testing.T) {
	onBeds(t, func(t *testing.T, b *bed) {
		db := b.db()
		root := NewRoot[custom]("custom")
		update(t, db, func(tx *Tx) error {
			c := Must(root.Edit(tx))
			c.one = Must(Add(tx, &account{Owner: "one"}))
			c.two = Must(Add(tx, &account{Owner: "two"})).Any()
			return nil
		})
		view(t, db, func(tx *Tx) error {
			c := Must(root.Load(tx))
			if one, two := Must(c.one.Load(tx)), Must(c.two.Load(tx)).(*account); one.Owner != "one" || two.Owner != "two" {
				t.Errorf("got %+v, %+v", one, two)
			}
			if tx.Snapshot() == 0 || root.Name() != "custom" {
				t.Error("no snapshot, or no name")
			}
			return nil
		})
	})
	if _, err := msgpack.Marshal(RefTo[account](3)); err == nil {
		t.Error("a reference was encoded outside of a database")
	}
	if err := msgpack.Unmarshal([]byte{0xc7, 4, 1, 0, 0, 0, 3}, new(AnyRef)); err == nil {
		t.Error("a reference was decoded outside of a database")
	}
}
