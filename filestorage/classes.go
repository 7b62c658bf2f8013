package filestorage

import (
	"sync"

	"github.com/durusdb/durus/storage"
)

// classTable maps class names to the numbers that the file gave them.
type classTable struct {
	mu    sync.RWMutex // guards both
	names []string     // by number - 1
	ids   map[string]storage.ClassID
}

// add notes a class frame; the scanner has checked that id is the next number.
func (t *classTable) add(id storage.ClassID, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids == nil {
		t.ids = make(map[string]storage.ClassID)
	}
	t.names = append(t.names, name)
	if _, ok := t.ids[name]; !ok {
		t.ids[name] = id
	}
}

// first returns the names of the first n classes.
func (t *classTable) first(n int) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return append([]string(nil), t.names[:min(n, len(t.names))]...)
}

func (t *classTable) id(name string) (storage.ClassID, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	id, ok := t.ids[name]
	return id, ok
}

func (t *classTable) name(id storage.ClassID) (string, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if id == 0 || int(id) > len(t.names) {
		return "", false
	}
	return t.names[id-1], true
}
