package mem

import (
	"bytes"
	"context"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// busyDisk is a disk with a data file of about 4 KiB on the disk and 3 KiB in
// three appends that are not, and a lock file with a mark.
func busyDisk(tb testing.TB) *Disk {
	d := NewDisk()
	p := d.Process("p")
	check(tb, d.WriteFile("/db", bytes.Repeat([]byte("old."), 1024)))
	check(tb, d.WriteFile("/db.lock", bytes.Repeat([]byte{1}, vfs.MarkSize)))
	f := p.Open("/db", vfs.Append)
	end := int64(4096)
	for _, n := range []int{300, 1500, 1200} {
		m, err := f.Append(bytes.Repeat([]byte{byte(n)}, n), end)
		check(tb, err)
		end += int64(m)
	}
	l := p.Locker("/db.lock", f, vfs.Append, 0o600)
	for i := range byte(2) {
		check(tb, l.UpdateMark(context.Background(), func(rec *[vfs.MarkSize]byte, ok bool) bool {
			rec[0] = i + 2
			return ok
		}))
	}
	return d
}

func BenchmarkImages(b *testing.B) {
	for _, c := range []struct {
		name   string
		models Model
		hash   bool
	}{{"all", AllModels, false}, {"M4", M4, false}, {"M5", M5, false}, {"all+hash", AllModels, true}} {
		b.Run(c.name, func(b *testing.B) {
			d := busyDisk(b)
			b.ReportAllocs()
			n := 0
			for n < b.N {
				for im := range d.Images(Options{Models: c.models, EveryByte: true}) {
					if c.hash {
						im.Hash()
					}
					if im.Disk() == nil {
						b.Fatal("no disk")
					}
					if n++; n >= b.N {
						break
					}
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

func BenchmarkAppendSync(b *testing.B) {
	for name, d := range map[string]*Disk{"disk": NewDisk(), "volatile": NewVolatile()} {
		b.Run(name, func(b *testing.B) {
			f := create(b, d.Process("p"), "/db", nil)
			p := make([]byte, 400)
			b.ReportAllocs()
			var end int64
			for range b.N {
				n, err := f.Append(p, end)
				check(b, err)
				end += int64(n)
				check(b, f.Sync())
				if end > 1<<24 {
					check(b, f.Truncate(0))
					end = 0
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	f := create(b, NewVolatile().Process("p"), "/db", make([]byte, 1<<20))
	p := make([]byte, 400)
	b.ReportAllocs()
	for i := range b.N {
		if _, err := f.ReadAt(p, int64(i*400%(1<<19))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLock(b *testing.B) {
	p := NewVolatile().Process("p")
	l := p.Locker("/db.lock", create(b, p, "/db", nil), vfs.Append, 0o600)
	b.ReportAllocs()
	for range b.N {
		check(b, l.Lock(context.Background()))
		check(b, l.Unlock())
	}
}

func BenchmarkRun(b *testing.B) {
	d := NewDisk()
	d.StepLimit = b.N*3 + 100
	body := func(p *Process) {
		for range b.N / 2 {
			check(b, p.Yield())
		}
	}
	check(b, d.Run(Seeded(1), body, body))
}
