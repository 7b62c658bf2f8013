package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
)

type attic struct {
	Label   string
	Prices  durus.BTree[string, int]
	Places  durus.Dict[int, string]
	Tags    durus.Set[string]
	Log     durus.List[string]
	Visits  durus.Counter
	Boxes   durus.BTree[string, durus.Ref[attic]]
	Comment []string
}

var (
	_        = durus.Register[attic]("test.Attic")
	theAttic = durus.NewRoot[attic]("attic")
)

// diff compares containers by their keys, also those of many nodes, whose inner
// objects it does not name; before and after a pack.
func TestDiffContainers(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a.durus")
	db, err := durus.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	change := func(fn func(tx *durus.Tx, a *attic)) (tid durus.TID) {
		t.Helper()
		if err := db.Update(ctx, func(tx *durus.Tx) error {
			tx.OnCommit(func(id durus.TID) { tid = id })
			fn(tx, durus.Must(theAttic.Edit(tx)))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return tid
	}
	first := change(func(tx *durus.Tx, a *attic) {
		for i := range 3000 {
			_ = a.Prices.Put(tx, strings.Repeat("k", 10)+string(rune('a'+i%26))+string(rune(0x4e00+i)), i)
			_ = a.Log.Append(tx, strings.Repeat("line ", i%5))
		}
		_ = a.Prices.Put(tx, "gone", 1)
		_ = a.Prices.Put(tx, "stays", 2)
		_ = a.Places.Put(tx, 7, "here")
		_ = a.Tags.Add(tx, "old")
	})
	second := change(func(tx *durus.Tx, a *attic) {
		a.Label = "new label"
		a.Comment = []string{"one", "two"}
		durus.Must(a.Prices.Delete(tx, "gone"))
		_ = a.Prices.Put(tx, "fresh", 5)
		_ = a.Places.Put(tx, 7, "there")
		durus.Must(a.Tags.Delete(tx, "old"))
		_ = a.Tags.Add(tx, "young")
		_ = a.Log.Append(tx, "the last line")
		_ = a.Log.Set(tx, 2990, "another line")
		_ = a.Visits.Add(tx, 3)
		_ = a.Boxes.Put(tx, "b", durus.Must(durus.Add(tx, &attic{Label: "box"})))
	})
	diff := func(args ...string) string {
		t.Helper()
		var out, problems bytes.Buffer
		if code := run(ctx, append([]string{"diff", path}, args...), &out, &problems); code != exitOK {
			t.Fatalf("exit code %d: %s", code, problems.String())
		}
		return out.String()
	}
	look := func() {
		t.Helper()
		got := diff(first.String(), second.String())
		for _, want := range []string{
			"~ Label: \"\" -> \"new label\"\n", "~ Comment: nil -> [\"one\", \"two\"]\n",
			"  + fresh: 5\n  - gone: 1\n", "  ~ 7: \"here\" -> \"there\"\n", "  - old\n  + young\n",
			"  ~ 2990: \"\" -> \"another line\"\n", "  + 3000: \"the last line\"\n",
			"  ~ 0 -> 3\n", "added test.Attic@", "  + Label: \"box\"\n", "  + b: test.Attic@",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
		for _, never := range []string{"durus.Node", "stays", "kkk"} {
			if strings.Contains(got, never) {
				t.Errorf("%q in\n%s", never, got)
			}
		}
		if alone := diff(second.String()); alone != got {
			t.Errorf("by its one transaction:\n%s\nwant\n%s", alone, got)
		}
		if n := strings.Count(diff("--json", second.String()), "\n"); n != strings.Count(got, "changed ")+strings.Count(got, "added ") {
			t.Errorf("%d lines of JSON for\n%s", n, got)
		}
	}
	look()
	if _, err := db.Pack(ctx, pack.Options{KeepFrom: second}); err != nil {
		t.Fatal(err)
	}
	look()
}
