package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/durusdb/durus/durus"
)

// write exports all bookmarks of one moment.
func write(tx *durus.Tx, t durus.Table[int, Bookmark]) (string, error) {
	all := []*Bookmark{} // [] and not null, if there are none
	for _, b := range durus.Each(tx, t.All(tx)) {
		all = append(all, b) // to keep what Load gives is fine, to change it is not
	}
	text, err := json.MarshalIndent(all, "", "\t")
	return string(text) + "\n", err
}

// read reads what write has written, or somebody else in its form.
func read(in io.Reader) (all []Bookmark, err error) {
	if err := json.NewDecoder(in).Decode(&all); err != nil {
		return nil, fmt.Errorf("standard input is not what export writes: %w", err)
	}
	return all, nil
}
