//go:build linux && (amd64 || arm64)

package fusedisk

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// piece is what somebody appended to a file and synced.
type piece struct {
	text string
	off  int64
	at   int // the moment at which fdatasync had returned
}

// The other ground that the engine stands on: of several descriptors that
// append to one file in turn and sync it at the same time, each is told the
// truth by its own fdatasync. btrfs does not keep to that (see FileSystem);
// what it loses is shown, and no failure of this test.
func TestOverlappingSyncs(t *testing.T) {
	each(t, func(t *testing.T, kind FileSystem) {
		deadline, _ := share(0.1)
		images, files, lies := 0, 0, 0
		for ; files == 0 || time.Now().Before(deadline); files++ {
			d := newDisk(t, kind)
			m := mounted(t, kind, d)
			pieces := appendTogether(t, d, filepath.Join(m.Dir, "file"))
			log := d.Log()
			if err := m.Unmount(); err != nil {
				t.Fatal(err)
			}
			p := log.Play()
			last := 0
			for _, moment := range log.Flushes() {
				if time.Now().After(deadline) && images > 0 {
					break
				}
				known := acknowledged(pieces, moment)
				if len(known) == last {
					continue // nothing new to ask for
				}
				last = len(known)
				images++
				data, err := readFile(t, kind, cut{moment: moment}.image(p), "file")
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range known {
					if int64(len(data)) >= k.off && bytes.HasPrefix(data[k.off:], []byte(k.text)) {
						continue
					}
					lies++
					t.Logf("%d bytes at %d were synced not later than operation %d, and are not there after operation %d of %d",
						len(k.text), k.off, k.at, moment, len(log.Ops))
				}
			}
		}
		t.Logf("%d images of %d files, %d pieces missing", images, files, lies)
		if lies > 0 && !kind.alone {
			t.Error("fdatasync returned before the bytes were durable")
		}
	})
}

// acknowledged returns the pieces that were known to be durable at a moment.
func acknowledged(pieces []piece, moment int) (known []piece) {
	for _, p := range pieces {
		if p.at <= moment {
			known = append(known, p)
		}
	}
	return known
}

// appendTogether has four descriptors append to a new file, one after the
// other, and sync it, at the same time.
func appendTogether(t *testing.T, d *Disk, name string) (pieces []piece) {
	t.Helper()
	file, err1 := os.Create(name)
	dir, err2 := os.Open(filepath.Dir(name))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), dir.Sync(), file.Close(), dir.Close()); err != nil {
		t.Fatal(err)
	}
	var (
		appending sync.Mutex // held like the commit lock, for an append; guards end
		end       int64
		noting    sync.Mutex // guards pieces
		all       sync.WaitGroup
	)
	for w := range 4 {
		all.Go(func() {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for n := range 20 {
				b := bytes.Repeat(fmt.Appendf(nil, "<%d %d>", w, n), 50+(w+n)%4*70)
				if (w+n)%5 == 0 {
					b = bytes.Repeat(b, 40)
				}
				appending.Lock()
				p := piece{text: string(b), off: end}
				_, err := f.WriteAt(b, end)
				end += int64(len(b))
				appending.Unlock()
				if err == nil {
					err = unix.Fdatasync(int(f.Fd()))
				}
				if err != nil {
					t.Error(err)
					return
				}
				p.at = d.Moment()
				noting.Lock()
				pieces = append(pieces, p)
				noting.Unlock()
			}
		})
	}
	all.Wait()
	return pieces
}

// readFile reads a file from an image.
func readFile(t *testing.T, kind FileSystem, im Image, name string) ([]byte, error) {
	t.Helper()
	m, err := NewDisk(im).Mount(kind, t.TempDir())
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(m.Dir, name))
	if e := m.Abort(); err == nil {
		err = e
	}
	return b, err
}
