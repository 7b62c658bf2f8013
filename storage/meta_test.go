package storage_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/durusdb/durus/storage"
)

func TestWithConflicts(t *testing.T) {
	full := storage.Meta{Description: strings.Repeat("x", storage.MaxMeta-12-5)}
	for _, c := range []struct {
		name string
		m    storage.Meta
		n    int
		want map[string]string
	}{
		{"none", storage.Meta{}, 0, nil},
		{"some", storage.Meta{}, 3, map[string]string{"durus.conflicts": "3"}},
		{"beside others", storage.Meta{User: "u", Ext: map[string]string{"k": "v"}}, 1, map[string]string{"k": "v", "durus.conflicts": "1"}},
		{"there is one", storage.Meta{Ext: map[string]string{"durus.conflicts": "7"}}, 1, map[string]string{"durus.conflicts": "7"}},
		{"no room", full, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := maps.Clone(c.m.Ext)
			m := c.m.WithConflicts(c.n)
			if !maps.Equal(m.Ext, c.want) || m.User != c.m.User || m.Description != c.m.Description {
				t.Errorf("%v, want %v", m.Ext, c.want)
			}
			if !maps.Equal(c.m.Ext, before) {
				t.Errorf("changed the program's map: %v", c.m.Ext)
			}
			if m.Size() > storage.MaxMeta {
				t.Errorf("%d bytes", m.Size())
			}
		})
	}
}

func TestConflictsOfMeta(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "4": 4, "-1": 0, "many": 0, "99999999999": 0} {
		if n := (storage.Meta{Ext: map[string]string{storage.ExtConflicts: text}}).Conflicts(); n != want {
			t.Errorf("%q: %d, want %d", text, n, want)
		}
	}
}
