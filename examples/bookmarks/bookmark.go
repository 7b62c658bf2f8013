package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/durusdb/durus/durus"
)

// Bookmark is one object. Its second version has Tags.
type Bookmark struct {
	URL   string    `json:"url"`
	Tags  []string  `json:"tags"`
	Added time.Time `json:"added"`
}

// bookmarkV1 is what the first version stored, as far as the step needs it: all
// tags were in one string, "go, databases". URL and Added are the same in both,
// and get into the new object by themselves. If only the name had changed,
// `msgpack:"Labels"` behind Tags would do, without a version.
type bookmarkV1 struct{ Labels string }

func splitLabels(old *bookmarkV1, new *Bookmark) error {
	new.Tags = strings.FieldsFunc(old.Labels, func(r rune) bool { return r == ',' || r == ' ' })
	return nil
}

// Shelf is where the bookmarks are, by their numbers.
type Shelf struct {
	Bookmarks durus.Table[int, Bookmark]
}

var (
	byURL = durus.NewIndex("url", func(b *Bookmark) string { return b.URL }).Unique()
	byTag = durus.NewMultiIndex("tag", func(b *Bookmark) []string { return b.Tags }) // since the second version

	_ = durus.Register[Bookmark]("bookmarks.Bookmark",
		durus.Version(2),
		durus.Upgrade(1, splitLabels),
		durus.Indexes(byURL, byTag))
	_     = durus.Register[Shelf]("bookmarks.Shelf")
	shelf = durus.NewRoot[Shelf]("shelf")
)

// open opens the file, and builds the index that one of the first version does
// not have yet. On other files that costs next to nothing.
func open(ctx context.Context, file string) (*durus.DB, error) {
	db, err := durus.Open(file, nil)
	if err != nil {
		return nil, err
	}
	err = prepare(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func prepare(ctx context.Context, db *durus.DB) error {
	t, err := durus.Result(ctx, db.View, func(tx *durus.Tx) (durus.Table[int, Bookmark], error) {
		return durus.Must(shelf.Load(tx)).Bookmarks, nil
	})
	if err != nil || t.OID() == 0 { // a new file: the first Update makes the table, with all indexes
		return err
	}
	return durus.Reindex(ctx, db, t, nil)
}

// complete finds what should not be stored, and fills in what is missing.
func (b *Bookmark) complete(now time.Time) error {
	u, err := url.Parse(b.URL)
	if err != nil {
		return err
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is no URL: it begins with https:// or http://, and a host", b.URL)
	}
	if b.Added.IsZero() {
		b.Added = now
	}
	b.Tags = union(b.Tags, nil)
	return nil
}

// union returns the tags of both, sorted, each once, in a new slice.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
