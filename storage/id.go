package storage

import (
	"fmt"
	"strconv"
)

// OID identifies an object for as long as its database lives. OIDs are given
// out from 1 upwards and never twice; 0 is nil. They stay below 2^48
// (MaxOID). The spelling for people is the decimal number without sign or
// leading zeros; nil is the empty string.
type OID uint64

// TID identifies a transaction. TIDs grow strictly from commit to commit,
// with gaps: a TID is the time of its commit in microseconds since 1970, or
// one more than the TID before where the clock stood still or went back. Use
// it for order only; the time is a field of its own. The spelling for people
// is the decimal number; 0 means "before the first transaction".
type TID uint64

// String returns the one spelling of an OID.
func (o OID) String() string {
	if o == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(o), 10)
}

// MarshalText implements encoding.TextMarshaler with the spelling of String.
func (o OID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see ParseOID.
func (o *OID) UnmarshalText(text []byte) error {
	v, err := ParseOID(string(text))
	if err == nil {
		*o = v
	}
	return err
}

// ParseOID reads what OID.String wrote. The empty string is nil. Anything else
// than that one spelling is refused, as is a number above MaxOID.
func ParseOID(s string) (OID, error) {
	if s == "" {
		return 0, nil
	}
	v, err := parseDecimal(s)
	if err != nil || v == 0 || OID(v) > MaxOID {
		return 0, fmt.Errorf("durus: %q is not an object id: give a decimal number from 1 to %d", s, uint64(MaxOID))
	}
	return OID(v), nil
}

// String returns the one spelling of a TID.
func (t TID) String() string { return strconv.FormatUint(uint64(t), 10) }

// MarshalText implements encoding.TextMarshaler with the spelling of String.
func (t TID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; see ParseTID.
func (t *TID) UnmarshalText(text []byte) error {
	v, err := ParseTID(string(text))
	if err == nil {
		*t = v
	}
	return err
}

// ParseTID reads what TID.String wrote, and takes the empty string for 0.
// Anything else than that one spelling is refused.
func ParseTID(s string) (TID, error) {
	if s == "" {
		return 0, nil
	}
	v, err := parseDecimal(s)
	if err != nil {
		return 0, fmt.Errorf("durus: %q is not a transaction id: give a decimal number such as durusctl log prints", s)
	}
	return TID(v), nil
}

// parseDecimal accepts exactly what strconv.FormatUint writes.
func parseDecimal(s string) (uint64, error) {
	v, err := strconv.ParseUint(s, 10, 64)
	if err == nil && strconv.FormatUint(v, 10) != s {
		err = strconv.ErrSyntax
	}
	return v, err
}
