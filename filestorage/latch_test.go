package filestorage

import (
	"errors"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// A process is stopped while it holds the latch of the mark. Views of others,
// cold ones too, do not wait for it; who wants to write gets ErrLocked after
// LockTimeout if nothing was appended, and ErrUnknownOutcome if something was.
// When the process goes on, all is as ever. F31
func TestStoppedWithTheLatch(t *testing.T) {
	im, oid := two(t)
	for _, cold := range []bool{true, false} {
		d := im.Disk()
		pa := d.Process("A")
		a := opened(t, worldPath, simulated(pa))
		opts := simulated(d.Process("B"))
		opts.Foreground, opts.LockTimeout = false, 100*time.Millisecond
		var b *Storage
		if !cold {
			b = opened(t, worldPath, opts)
			_, err := edit(b, oid, "warm")
			must(t, err)
		}
		at := make(chan struct{})
		armed := true
		d.Hook = func(op mem.Op) mem.Action {
			if armed && op.Process == "A" && op.Kind == mem.OpWriteMark {
				armed = false
				close(at)
				return mem.Stop()
			}
			return mem.Proceed()
		}
		done := make(chan error, 1)
		go func() {
			_, err := edit(a, oid, "of a")
			done <- err
		}()
		<-at
		if cold {
			b = opened(t, worldPath, opts)
		}
		for range 3 {
			begin := time.Now()
			got, err := look(b, oid)
			if took := time.Since(begin); err != nil || got == "of a" || took > 2*time.Second {
				t.Fatalf("cold %v: a View shows %.10q, %v, after %v", cold, got, err, took)
			}
		}
		_, err := edit(b, oid, "of b")
		var unknown *storage.UnknownOutcomeError
		switch {
		case cold && (!errors.Is(err, storage.ErrLocked) || errors.As(err, &unknown)):
			t.Errorf("a cold handle that cannot begin: %v", err)
		case !cold && (!errors.As(err, &unknown) || errors.Is(err, storage.ErrLocked)):
			t.Errorf("a commit that was appended: %v", err)
		}
		pa.Continue()
		must(t, <-done)
		must(t, b.Sync(background))
		if got, err := look(b, oid); err != nil || got != map[bool]string{true: "of a", false: "of b"}[cold] {
			t.Errorf("cold %v: afterwards %.10q, %v", cold, got, err)
		}
		_, err = edit(b, oid, "last")
		must(t, err)
		must(t, clean(b))
	}
}
