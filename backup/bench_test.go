package backup

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

// BenchmarkBackup copies a database with cp, with Storage.Backup to a file, and
// into a directory, in turn in one run, and reports the rates and their ratios.
// DURUS_BENCH_OBJECTS makes the database larger.
func BenchmarkBackup(b *testing.B) {
	objects := 100_000
	if n, err := strconv.Atoi(os.Getenv("DURUS_BENCH_OBJECTS")); err == nil {
		objects = n
	}
	for _, size := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(size, " bytes"), func(b *testing.B) {
			home := b.TempDir()
			path := filepath.Join(home, "db")
			bytes := benchFile(b, path, objects, size)
			s, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), ReadOnly: true})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var took [3]time.Duration
			n := 0
			for b.Loop() {
				n++
				for i, do := range []func(to string) error{
					func(to string) error { return exec.Command("cp", "--reflink=never", path, to).Run() },
					func(to string) error { return backupTo(s, to) },
					func(to string) error {
						if err := os.Mkdir(to, 0o700); err != nil {
							return err
						}
						_, err := Full(context.Background(), s, posix.New(), to, Options{})
						return err
					},
				} {
					to := filepath.Join(home, "copy")
					begun := time.Now()
					if err := do(to); err != nil {
						b.Fatal(err)
					}
					took[i] += time.Since(begun)
					if err := os.RemoveAll(to); err != nil {
						b.Fatal(err)
					}
				}
			}
			rate := func(d time.Duration) float64 { return float64(bytes) * float64(n) / 1e6 / d.Seconds() }
			b.ReportMetric(rate(took[0]), "cp-MB/s")
			b.ReportMetric(rate(took[1]), "stream-MB/s")
			b.ReportMetric(rate(took[2]), "directory-MB/s")
			b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "stream/cp")
			b.ReportMetric(took[0].Seconds()/took[2].Seconds(), "directory/cp")
		})
	}
}

func backupTo(s *filestorage.Storage, to string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = s.Backup(context.Background(), f, nil)
	return err
}

// benchFile makes a database of so many objects in transactions of 100.
func benchFile(tb testing.TB, path string, objects, size int) int64 {
	tb.Helper()
	s, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), Sync: storage.SyncNever})
	if err != nil {
		tb.Fatal(err)
	}
	class, err := s.ClassID(ctx, "bench")
	if err != nil {
		tb.Fatal(err)
	}
	payload := make([]byte, size)
	for range objects / 100 / max(1, size/1000) {
		snap, err := s.Begin(ctx, true)
		if err != nil {
			tb.Fatal(err)
		}
		c := &storage.Commit{Base: snap}
		for range 100 {
			oid, err := s.NewOID(ctx)
			if err != nil {
				tb.Fatal(err)
			}
			c.Records = append(c.Records, storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: payload})
		}
		if _, err := s.Commit(ctx, c); err != nil {
			tb.Fatal(err)
		}
		snap.Release()
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	n, err := io.Copy(io.Discard, f) // into the page cache
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
