package filestorage

import "github.com/durusdb/durus/storage"

// CommitUnchecked appends records without asking what they refer to, as a
// program did that knew no better.
func (s *Storage) CommitUnchecked(recs []storage.Record) error {
	d := new(draft)
	if err := d.encode(recs, &storage.Meta{}); err != nil {
		return err
	}
	if err := s.submit(background, &member{run: func(b *batch) error { b.add(d); return nil }}); err != nil {
		return err
	}
	return s.Sync(background)
}
