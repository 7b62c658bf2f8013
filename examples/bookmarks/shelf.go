package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/durusdb/durus/durus"
)

// Bookmark is one object.
type Bookmark struct {
	URL   string
	Tags  []string // sorted, each once
	Added time.Time
}

// Shelf is where the bookmarks are, by their URLs.
type Shelf struct {
	Bookmarks durus.Table[string, Bookmark]
}

var (
	byTag = durus.NewMultiIndex("tag", func(b *Bookmark) []string { return b.Tags })

	_     = durus.Register[Bookmark]("bookmarks.Bookmark", durus.Indexes(byTag))
	_     = durus.Register[Shelf]("bookmarks.Shelf")
	shelf = durus.NewRoot[Shelf]("shelf")
)

// add makes a bookmark, or gives the tags to the one that is there. Of two
// processes that add the same URL at once, one runs again, and finds it.
func add(ctx context.Context, db *durus.DB, address string, tags []string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no URL: it begins with https:// or http://, and a host", address)
	}
	return db.Update(ctx, func(tx *durus.Tx) error {
		t := durus.Must(shelf.Load(tx)).Bookmarks
		b, found := durus.Must2(t.Edit(tx, address))
		if !found {
			b = &Bookmark{URL: address, Added: time.Now()}
			durus.Must(t.Insert(tx, address, b))
		}
		b.Tags = append(b.Tags, tags...) // b is this run's own, whether it was there or not
		slices.Sort(b.Tags)
		b.Tags = slices.Compact(b.Tags)
		return nil
	})
}

func remove(ctx context.Context, db *durus.DB, address string) error {
	return db.Update(ctx, func(tx *durus.Tx) error {
		if !durus.Must(durus.Must(shelf.Load(tx)).Bookmarks.Delete(tx, address)) {
			return fmt.Errorf("there is no bookmark %q", address)
		}
		return nil
	})
}

// find returns the bookmarks that have all the tags, the newest first. The index
// leads to those with the first tag; without tags it is all there are.
func find(ctx context.Context, db *durus.DB, tags []string) ([]*Bookmark, error) {
	found, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (found []*Bookmark, err error) {
		t := durus.Must(shelf.Load(tx)).Bookmarks
		refs := t.All(tx)
		if len(tags) > 0 {
			refs = byTag.Equal(tx, t, tags[0])
		}
		for _, b := range durus.Each(tx, refs) {
			lacks := func(tag string) bool { return !slices.Contains(b.Tags, tag) }
			if !slices.ContainsFunc(tags, lacks) {
				found = append(found, b)
			}
		}
		return found, nil
	})
	slices.SortFunc(found, func(a, b *Bookmark) int { return b.Added.Compare(a.Added) })
	return found, err
}
