package mem_test

import (
	"iter"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/vfstest"
)

// B1, B2: a simulated disk does what a real one does, and its crash images hold
// what was promised to be on it.
func TestConformance(t *testing.T) {
	for name, newDisk := range map[string]func() *mem.Disk{"disk": mem.NewDisk, "volatile": mem.NewVolatile} {
		t.Run(name, func(t *testing.T) {
			vfstest.Run(t, func(testing.TB) vfstest.Env {
				d := newDisk()
				return vfstest.Env{
					FS:    d.Process("a"),
					Other: func() vfs.FS { return d.Process("b") },
					Dir:   "/dir",
					Crash: func() iter.Seq[vfs.FS] { return crashes(d) },
				}
			})
		})
	}
}

// crashes yields disks after a power cut.
func crashes(d *mem.Disk) iter.Seq[vfs.FS] {
	return func(yield func(vfs.FS) bool) {
		for image := range d.Images(mem.Options{Samples: 200, Seen: map[uint64]struct{}{}}) {
			if !yield(image.Disk().Process("after")) {
				return
			}
		}
	}
}
