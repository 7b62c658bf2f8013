package main

import (
	"context"
	"fmt"
	"io"
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

// list prints the bookmarks that have all the tags; the index finds those with
// the first one.
func list(tx *durus.Tx, t durus.Table[int, Bookmark], tags []string, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(n int, b *Bookmark) {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", n, b.Added.Local().Format(time.DateOnly), b.URL, strings.Join(b.Tags, " "))
	}
	if len(tags) == 0 {
		for n, b := range durus.Each(tx, t.All(tx)) {
			line(n, b)
		}
		return w.Flush()
	}
	for _, ref := range byTag.Equal(tx, t, tags[0]) {
		b := durus.Must(ref.Load(tx))
		if slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(b.Tags, tag) }) {
			continue
		}
		n, _, err := t.Key(tx, ref)
		if err != nil {
			return err
		}
		line(n, b)
	}
	return w.Flush()
}

// count prints each tag, and how many bookmarks have it.
func count(tx *durus.Tx, t durus.Table[int, Bookmark], out io.Writer) error {
	counts := map[string]int{}
	for tag := range byTag.All(tx, t) {
		counts[tag]++
	}
	for _, tag := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(out, "%4d  %s\n", counts[tag], tag)
	}
	return nil
}
