package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"
)

// The census and the overview of inspect count the same objects and bytes, whatever
// belongs to containers, before a pack and after it.
func TestCensusAddsUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.durus")
	made(t, makeLibrary(path, "1000"))
	answer := func(to any, args ...string) {
		t.Helper()
		var out, notes bytes.Buffer
		if code := run(t.Context(), append(args, "--json"), &out, &notes); code != exitOK {
			t.Fatalf("%v exits with %d: %s", args, code, notes.String())
		}
		made(t, json.Unmarshal(out.Bytes(), to))
	}
	for range 2 {
		var c censusJSON
		var o overviewJSON
		answer(&c, "census", path)
		answer(&o, "inspect", path)
		if c.Bytes != o.LiveBytes || c.Objects+c.Nodes != o.Objects {
			t.Errorf("census: %d objects, %d nodes, %d bytes; inspect: %d objects, %d bytes", c.Objects, c.Nodes, c.Bytes, o.Objects, o.LiveBytes)
		}
		var objects, nodes uint64
		var total int64
		for _, l := range c.Classes {
			objects, nodes, total = objects+l.Objects, nodes+l.Nodes, total+l.Bytes
			if l.Largest > l.Bytes || l.LargestOID == 0 || l.Average > l.Largest {
				t.Errorf("%+v", l)
			}
		}
		if objects != c.Objects || nodes != c.Nodes || total != c.Bytes || c.Nodes < 20 {
			t.Errorf("classes add up to %d objects, %d nodes, %d bytes; in all %d, %d, %d", objects, nodes, total, c.Objects, c.Nodes, c.Bytes)
		}
		var report struct{}
		answer(&report, "pack", path)
	}
}
