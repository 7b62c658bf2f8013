package check

import (
	"testing"

	"github.com/durusdb/durus/storage"
)

func TestCompareReferences(t *testing.T) {
	for _, c := range []struct {
		found, listed []storage.OID
		same          bool
	}{
		{nil, nil, true},
		{[]storage.OID{3, 1, 3}, []storage.OID{3, 1}, true},
		{[]storage.OID{3, 1}, []storage.OID{1, 3}, true},
		{[]storage.OID{3}, nil, false},
		{nil, []storage.OID{3}, false},
		{[]storage.OID{1, 2}, []storage.OID{1, 3}, false},
	} {
		if s := compareReferences(c.found, c.listed); (s == "") != c.same {
			t.Errorf("%v and %v: %q", c.found, c.listed, s)
		}
	}
}
