package codec

import (
	"bytes"
	"cmp"
	"math"
)

// Compare orders two values that Scan has accepted, as the keys of containers
// are: integers, floats and strings as in Go (a NaN before all other floats),
// times by instant, references by oid, arrays element by element. Values of
// different kinds, which no container holds, have a fixed order all the same.
// Two encodings of one number, or of one instant, are equal.
func Compare(a, b []byte) int {
	order, _, _ := compareAt(a, 0, b, 0)
	return order
}

// compareAt compares the values at two places and returns where they end, which
// is meaningful only if they are equal.
func compareAt(a []byte, i int, b []byte, j int) (order, aEnd, bEnd int) {
	ak, an, i := parseHead(a, i)
	bk, bn, j := parseHead(b, j)
	if ra, rb := rank(ak), rank(bk); ra != rb {
		return cmp.Compare(ra, rb), i, j
	}
	switch ak {
	case kindUint, kindInt:
		if ak != bk {
			return cmp.Compare(sign(ak), sign(bk)), i, j
		}
		if ak == kindInt {
			return cmp.Compare(int64(an), int64(bn)), i, j
		}
		return cmp.Compare(an, bn), i, j
	case kindFloat32, kindFloat64:
		return cmp.Compare(float(ak, an), float(bk, bn)), i, j
	case kindString, kindBytes:
		aEnd, bEnd = i+int(an), j+int(bn)
		return bytes.Compare(a[i:aEnd], b[j:bEnd]), aEnd, bEnd
	case kindExt:
		aEnd, bEnd = i+int(an), j+int(bn)
		return compareExt(int8(a[i-1]), a[i:aEnd], int8(b[j-1]), b[j:bEnd]), aEnd, bEnd
	case kindArray:
		for range min(an, bn) {
			if order, i, j = compareAt(a, i, b, j); order != 0 {
				return order, i, j
			}
		}
		return cmp.Compare(an, bn), i, j
	}
	return cmp.Compare(an, bn), i, j // nil, bool, maps (which are no keys)
}

// sign orders negative integers before the others.
func sign(k kind) int {
	if k == kindInt {
		return 0
	}
	return 1
}

func float(k kind, bits uint64) float64 {
	if k == kindFloat32 {
		return float64(math.Float32frombits(uint32(bits)))
	}
	return math.Float64frombits(bits)
}

func compareExt(aExt int8, a []byte, bExt int8, b []byte) int {
	if aExt != bExt {
		return cmp.Compare(aExt, bExt)
	}
	if aExt == extTime {
		as, an, _ := parseTime(a)
		bs, bn, _ := parseTime(b)
		return cmp.Or(cmp.Compare(as, bs), cmp.Compare(an, bn))
	}
	x, _ := parseReference(a)
	y, _ := parseReference(b)
	return cmp.Compare(x, y)
}

// rank puts the kinds that are compared with each other into one class.
func rank(k kind) int {
	switch k {
	case kindNil:
		return 0 // a nil reference comes before all others
	case kindBool:
		return 1
	case kindUint, kindInt:
		return 2
	case kindFloat32, kindFloat64:
		return 3
	case kindString, kindBytes:
		return 4
	case kindExt:
		return 5
	case kindArray:
		return 6
	}
	return 7
}
