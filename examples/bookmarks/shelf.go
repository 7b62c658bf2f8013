package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/durusdb/durus/durus"
)

// save adds bookmarks, all or none. Those whose URL is there get the tags.
func save(ctx context.Context, db *durus.DB, bookmarks []Bookmark) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		t := durus.Must(shelf.Load(tx)).Bookmarks
		// First look up, then edit: an index that is read has to look at all
		// that the transaction has edited before.
		known := make([]durus.Ref[Bookmark], len(bookmarks))
		for i, b := range bookmarks {
			var err error
			if known[i], _, err = byURL.Lookup(tx, t, b.URL); err != nil {
				return err
			}
		}
		number := 0
		for last := range t.Backward(tx) {
			number = last
			break
		}
		for i, b := range bookmarks {
			if !known[i].IsNil() {
				old := durus.Must(known[i].Edit(tx))
				old.Tags = union(old.Tags, b.Tags)
				continue
			}
			number++
			durus.Must(t.Insert(tx, number, &b)) // b is this run's own, as Insert wants it
		}
		return nil
	})
}

func remove(ctx context.Context, db *durus.DB, number int) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		if !durus.Must(durus.Must(shelf.Load(tx)).Bookmarks.Delete(tx, number)) {
			return fmt.Errorf("there is no bookmark %d", number)
		}
		return nil
	})
}

// list shows the bookmarks that have all the tags; the index finds those with
// the first one.
func list(tx *durus.Tx, t durus.Table[int, Bookmark], tags []string) (string, error) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	line := func(n int, b *Bookmark) {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", n, b.Added.Local().Format(time.DateOnly), b.URL, strings.Join(b.Tags, " "))
	}
	if len(tags) == 0 {
		for n, b := range durus.Each(tx, t.All(tx)) {
			line(n, b)
		}
		err := w.Flush()
		return text.String(), err
	}
	for _, ref := range byTag.Equal(tx, t, tags[0]) {
		b := durus.Must(ref.Load(tx))
		if slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(b.Tags, tag) }) {
			continue
		}
		n, _, err := t.Key(tx, ref)
		if err != nil {
			return "", err
		}
		line(n, b)
	}
	err := w.Flush()
	return text.String(), err
}

// count shows each tag, and how many bookmarks have it.
func count(tx *durus.Tx, t durus.Table[int, Bookmark]) string {
	counts := map[string]int{}
	for tag := range byTag.All(tx, t) {
		counts[tag]++
	}
	var text strings.Builder
	for _, tag := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&text, "%4d  %s\n", counts[tag], tag)
	}
	return text.String()
}
