package backup

import (
	"fmt"
	"time"

	"github.com/durusdb/durus/storage"
)

// DamageError says what is wrong in a directory of backups. It Is
// storage.ErrCorrupt.
type DamageError struct {
	Dir    string
	Name   string // of the file in it
	Offset int64  // in that file, bytes
	Reason string

	// Usable is the newest transaction that can still be restored from the run
	// that the file belongs to; 0: none.
	Usable     storage.TID
	UsableTime time.Time
}

func (e *DamageError) Error() string {
	text := fmt.Sprintf("durus: backup %s: %s is damaged at byte %d: %s", e.Dir, e.Name, e.Offset, e.Reason)
	switch {
	case e.Name == manifestName:
		return text + "; put a copy of it back, or make a database of the chunks as README.txt says"
	case e.Usable > 0:
		return fmt.Sprintf("%s; up to transaction %s of %s it can be restored: ask for that (--at %s), or put a good copy of the file back",
			text, e.Usable, e.UsableTime.UTC().Format(time.RFC3339Nano), e.Usable)
	}
	return text + "; nothing can be restored from this run: put a good copy of the file back, or use an older run"
}

// Is makes the error match storage.ErrCorrupt.
func (e *DamageError) Is(target error) bool { return target == storage.ErrCorrupt }
