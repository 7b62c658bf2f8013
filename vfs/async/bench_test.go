package async

import (
	"testing"

	"github.com/durusdb/durus/vfs"
)

// What a read costs beside that of the storage below, which is a disk in memory:
// waited for, found ahead, and by many goroutines.
func BenchmarkRead(b *testing.B) {
	const size, piece = 1 << 20, 2048
	run := func(name string, settled int64, read func(b *testing.B, f vfs.File)) {
		b.Run(name, func(b *testing.B) {
			l := newLower()
			l.put(b, "/f", size)
			f := vfs.Blocking(New(l.Process, Options{})).Open("/f", vfs.ReadOnly)
			vfs.Advise(f, vfs.Settled, 0, settled)
			b.SetBytes(piece)
			b.ReportAllocs()
			read(b, f)
			check(b, f.Close())
		})
	}
	one := func(b *testing.B, f vfs.File) {
		p := make([]byte, piece)
		for i := int64(0); b.Loop(); i++ {
			_, err := f.ReadAt(p, i*piece%size)
			check(b, err)
		}
	}
	run("waited", 0, one)
	run("ahead", size, one)
	run("parallel", 0, func(b *testing.B, f vfs.File) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			p := make([]byte, piece)
			for i := int64(0); pb.Next(); i++ {
				_, err := f.ReadAt(p, i*7919%(size-piece))
				check(b, err)
			}
		})
	})
}
