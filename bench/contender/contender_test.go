package contender

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
)

// Every contender does the work that it is measured at.
func TestStores(t *testing.T) {
	for _, c := range All() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Skip != "" {
				t.Skip(c.Skip)
			}
			path := filepath.Join(t.TempDir(), "db")
			open := func(o Options) Store {
				s, err := c.Open(path, o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			s := open(Options{})
			var items []Item
			var ids []int64
			for id := range int64(100) {
				items, ids = append(items, NewItem(id, 300)), append(ids, id)
			}
			must(s.Put(items))
			must(s.Put(items[:1]))
			if err := s.Read([]int64{1000}, func(*Item) error { return nil }); !errors.Is(err, ErrGone) {
				t.Errorf("reading what is not there: %v", err)
			}
			must(s.Close())

			s = open(Options{Durable: true, Known: 100})
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 5 {
						if err := s.Update(ids[:10], func(v *Item) { v.Count++ }); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			must(s.Empty())
			if a, ok := s.(Allocator); ok {
				must(a.NewIDs(10))
			}
			must(s.Close())

			s = open(Options{Known: 100})
			n, sum := int64(0), int64(0)
			must(s.Read(ids, func(v *Item) error {
				sum += v.Count
				n++
				return v.Check(n - 1)
			}))
			if n != 100 || sum != 200 {
				t.Errorf("%d objects, %d changes; want 100, 200", n, sum)
			}
			must(s.Close())
		})
	}
}
