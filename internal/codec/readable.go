package codec

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Map is a msgpack map in the order in which it is stored. Its JSON is an object
// if all keys are strings and different, else an array of [key, value] arrays.
type Map []Entry

// Entry is a pair of a Map.
type Entry struct{ Key, Value any }

// RefValue is a reference. Its JSON is {"ref":"12"} or {"weak_ref":"12"}, with
// the oid as a string since numbers above 2^53 do not survive everywhere.
type RefValue struct {
	OID  uint64
	Weak bool
}

// NonFinite is a float, of either size, that JSON has no number for. Its JSON
// is "NaN", "+Inf" or "-Inf".
type NonFinite float64

// Instant is a time outside of the years 0 to 9999, which JSON has no spelling
// for. Its JSON is {"seconds":...,"nanoseconds":...} since 1970.
type Instant struct {
	Seconds     int64  `json:"seconds"`
	Nanoseconds uint32 `json:"nanoseconds"`
}

// Readable returns the payload as a tree for tools, without knowing the type:
// nil, bool, uint64 (int64 if negative), float32, float64, NonFinite, string,
// []byte, time.Time in UTC, Instant, RefValue, []any, Map. All of it has a JSON. It
// refuses what Scan refuses, and shares no memory with payload.
func Readable(payload []byte) (any, error) {
	if err := Scan(payload); err != nil {
		return nil, err
	}
	v, _ := readable(payload, 0)
	return v, nil
}

// readable builds the value at pos of a payload that Scan has accepted, which
// bounds the recursion, and returns where it ends.
func readable(b []byte, pos int) (any, int) {
	k, n, next := parseHead(b, pos)
	switch k {
	case kindBool:
		return n != 0, next
	case kindUint:
		return n, next
	case kindInt:
		return int64(n), next
	case kindFloat32:
		f := math.Float32frombits(uint32(n))
		if f64 := float64(f); math.IsNaN(f64) || math.IsInf(f64, 0) {
			return NonFinite(f64), next
		}
		return f, next
	case kindFloat64:
		f := math.Float64frombits(n)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return NonFinite(f), next
		}
		return f, next
	case kindString:
		end := next + int(n)
		return string(b[next:end]), end
	case kindBytes:
		end := next + int(n)
		return append([]byte{}, b[next:end]...), end
	case kindExt:
		end := next + int(n)
		return readableExt(int8(b[next-1]), b[next:end]), end
	case kindArray:
		list := make([]any, n)
		for i := range list {
			list[i], next = readable(b, next)
		}
		return list, next
	case kindMap:
		m := make(Map, n)
		for i := range m {
			m[i].Key, next = readable(b, next)
			m[i].Value, next = readable(b, next)
		}
		return m, next
	}
	return nil, next // kindNil: Scan lets nothing else through
}

func readableExt(ext int8, data []byte) any {
	if ext != extTime {
		oid, _ := parseReference(data)
		return RefValue{OID: oid, Weak: ext == extWeak}
	}
	sec, nsec, _ := parseTime(data)
	// The seconds of the years 0 and 10000, not Time.Year: it wraps for far times.
	if sec < -62167219200 || sec >= 253402300800 {
		return Instant{sec, nsec}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

// MarshalJSON implements json.Marshaler.
func (m Map) MarshalJSON() ([]byte, error) {
	object := true
	names := make(map[string]struct{}, len(m))
	for _, e := range m {
		name, ok := e.Key.(string)
		names[name] = struct{}{}
		object = object && ok
	}
	object = object && len(names) == len(m)

	open, middle, shut := "[", ",", "]"
	if object {
		open, middle, shut = "", ":", ""
	}
	b := []byte{'['}
	if object {
		b[0] = '{'
	}
	for i, e := range m {
		key, err := json.Marshal(e.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(e.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, open...)
		b = append(b, key...)
		b = append(b, middle...)
		b = append(b, value...)
		b = append(b, shut...)
	}
	if object {
		return append(b, '}'), nil
	}
	return append(b, ']'), nil
}

// MarshalJSON implements json.Marshaler.
func (r RefValue) MarshalJSON() ([]byte, error) {
	if r.Weak {
		return []byte(`{"weak_ref":"` + strconv.FormatUint(r.OID, 10) + `"}`), nil
	}
	return []byte(`{"ref":"` + strconv.FormatUint(r.OID, 10) + `"}`), nil
}

// MarshalJSON implements json.Marshaler.
func (f NonFinite) MarshalJSON() ([]byte, error) {
	return []byte(`"` + f.String() + `"`), nil
}

// String returns NaN, +Inf or -Inf.
func (f NonFinite) String() string { return strconv.FormatFloat(float64(f), 'g', -1, 64) }
