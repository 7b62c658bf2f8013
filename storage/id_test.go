package storage

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// Every id has one spelling, and only that one is read back.
func TestSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := OID(rapid.Uint64Range(0, uint64(MaxOID)).Draw(t, "oid"))
		if got, err := ParseOID(o.String()); err != nil || got != o {
			t.Fatalf("%d: %q, %d, %v", o, o, got, err)
		}
		id := TID(rapid.Uint64().Draw(t, "tid"))
		if got, err := ParseTID(id.String()); err != nil || got != id {
			t.Fatalf("%d: %q, %d, %v", id, id, got, err)
		}
		s := rapid.String().Draw(t, "text")
		if o, err := ParseOID(s); err == nil && o.String() != s {
			t.Fatalf("%q was read as %d", s, o)
		}
		if id, err := ParseTID(s); err == nil && s != "" && id.String() != s {
			t.Fatalf("%q was read as %d", s, id)
		}
	})
	for _, s := range []string{"01", "+1", "-1", "0x1", "1_000", " 1", "281474976710656", "0"} {
		if o, err := ParseOID(s); err == nil {
			t.Errorf("%q was read as object %d", s, o)
		}
	}
}

func TestIDsInJSON(t *testing.T) {
	type pair struct {
		O OID
		T TID
	}
	b, err := json.Marshal(pair{7, 0})
	if err != nil || string(b) != `{"O":"7","T":"0"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var p pair
	if err := json.Unmarshal([]byte(`{"O":"","T":"12"}`), &p); err != nil || p != (pair{0, 12}) {
		t.Fatalf("%v, %v", p, err)
	}
	if err := json.Unmarshal([]byte(`{"O":"x"}`), &p); err == nil {
		t.Fatal("x is no object id")
	}
}

// The rich errors match their sentinels and say what to do.
func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	for _, c := range []struct{ err, is error }{
		{&ConflictError{Objects: make([]ConflictObject, 5)}, ErrConflict},
		{&CorruptError{Path: "p", Offset: 7, OID: 3, Reason: "r"}, ErrCorrupt},
		{&LockError{Path: "p", Holder: 1}, ErrLocked},
		{&UnknownOutcomeError{TID: 9, Err: cause}, ErrUnknownOutcome},
		{&UnknownOutcomeError{TID: 9, Err: cause}, cause},
		{ErrDangling, ErrNotFound},
	} {
		if !errors.Is(c.err, c.is) || c.err.Error() == "" {
			t.Errorf("%v is not %v", c.err, c.is)
		}
	}
}
