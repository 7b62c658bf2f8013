package durus

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

func testSpill(fsys vfs.FS, path string) *spill {
	return &spill{fsys: fsys, path: path, limit: 100, logger: slog.New(slog.DiscardHandler)}
}

// What was put comes back, from the file, from memory, and from both when the
// file is full; also after a cut.
func TestSpill(t *testing.T) {
	disk := mem.NewDisk()
	full := mem.NewDisk()
	for name, fsys := range map[string]vfs.FS{"memory": nil, "simulated": disk.Process("p"), "file": posix.New(), "full": full.Process("p")} {
		t.Run(name, func(t *testing.T) {
			path := "/db"
			if name == "file" {
				path = filepath.Join(t.TempDir(), "db")
			}
			s := testSpill(fsys, path)
			defer s.close()
			type piece struct {
				at int64
				b  []byte
			}
			var pieces []piece
			for i := range 500 {
				if i == 200 && name == "full" {
					full.SetSpace(0)
				}
				b := bytes.Repeat([]byte{byte(i)}, rand.IntN(60))
				pieces = append(pieces, piece{s.put(b), b})
				if i%50 == 49 {
					n := len(pieces) - rand.IntN(20)
					if n < len(pieces) {
						s.cut(pieces[n].at)
						pieces = pieces[:n]
					}
				}
				for range 3 {
					p := pieces[rand.IntN(len(pieces))]
					got := make([]byte, len(p.b))
					if err := s.read(got, p.at); err != nil || !bytes.Equal(got, p.b) {
						t.Fatalf("piece at %d: %v, %v", p.at, got, err)
					}
				}
			}
			switch {
			case name == "memory" && s.inFile > 0, name != "memory" && s.inFile == 0, name == "full" && len(s.tail) < 1000:
				t.Errorf("%d bytes are in the file, %d in memory", s.inFile, len(s.tail))
			}
		})
	}
}

// The file has a name for a moment only; what a process has left there is in
// nobody's way, and processes that spill at once do not get each other's file.
func TestSpillNames(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db")
	w := posix.New().Create(path+spillSuffix, vfs.FailIfExists, 0o600)
	w.Write([]byte("left by somebody"))
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			s := testSpill(posix.New(), path)
			defer s.close()
			for range 10 {
				s.put(bytes.Repeat([]byte{byte(i)}, 50))
			}
			got := make([]byte, 500)
			if err := s.read(got, 0); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, 500)) {
				t.Errorf("%d: %v, %v", i, got, err)
			}
		})
	}
	group.Wait()
	for name, err := range posix.New().List(dir + "/") {
		if err != nil || strings.Contains(name, spillSuffix) {
			t.Error(name, err)
		}
	}
}
