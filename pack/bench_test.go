package pack_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

// benchObjects is how many objects the benchmarks use; DURUS_BENCH_OBJECTS
// makes them more.
func benchObjects() int {
	if n, err := strconv.Atoi(os.Getenv("DURUS_BENCH_OBJECTS")); err == nil {
		return n
	}
	return 100_000
}

func openReal(tb testing.TB, path string, policy storage.SyncPolicy) *filestorage.Storage {
	tb.Helper()
	s, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), Sync: policy})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// forest makes a database of n objects of size bytes: a tree whose inner nodes
// have 50 children, made in the order of a program that fills it at random
// places, in transactions of 1000: first all of it, then all of it again with
// references. So half of the file is dead.
func forest(tb testing.TB, path string, n, size int) {
	tb.Helper()
	s := openReal(tb, path, storage.SyncNever)
	class, err := s.ClassID(ctx, "bench.Node")
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(err)
	oids := []storage.OID{1}
	for len(oids) < n {
		oid, err := s.NewOID(ctx)
		must(err)
		oids = append(oids, oid)
	}
	const fan = 50
	order := rand.New(rand.NewPCG(1, 2)).Perm(n)
	for _, linked := range []bool{false, true} {
		for part := range slices.Chunk(order, 1000) {
			snap, err := s.Begin(ctx, true)
			must(err)
			recs := make([]storage.Record, 0, len(part))
			for _, i := range part {
				r := storage.Record{OID: oids[i], Class: class, Codec: storage.CodecMsgpack, Payload: make([]byte, size)}
				for c := i*fan + 1; linked && c <= i*fan+fan && c < n; c++ {
					r.Strong = append(r.Strong, oids[c])
				}
				recs = append(recs, r)
			}
			_, err = s.Commit(ctx, &storage.Commit{Base: snap, Records: recs})
			must(err)
			snap.Release()
		}
	}
	must(s.Close())
}

// copyFile copies a file as cat and sync do.
func copyFile(tb testing.TB, from, to string) time.Duration {
	tb.Helper()
	begun := time.Now()
	in, err := os.Open(from)
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 128<<10)); err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		tb.Fatal(err)
	}
	return time.Since(begun)
}

// BenchmarkPack packs, and copies the packed file, in turn. copy-ratio is how
// fast the pack is in comparison: 1 is as fast as copying the live bytes.
func BenchmarkPack(b *testing.B) {
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			dir := b.TempDir()
			base := filepath.Join(dir, "base.durus")
			forest(b, base, benchObjects(), size)
			var packing, copying time.Duration
			var live int64
			for range b.N {
				path := filepath.Join(dir, "x.durus")
				copyFile(b, base, path)
				s := openReal(b, path, storage.SyncAlways)
				if _, err := s.LastTID(); err != nil {
					b.Fatal(err)
				}
				begun := time.Now()
				r, err := pack.Pack(ctx, s, pack.Options{})
				packing += time.Since(begun)
				if err != nil || r.Kept.Objects != uint64(benchObjects()) {
					b.Fatalf("%+v, %v", r, err)
				}
				live += r.After
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				copying += copyFile(b, path, filepath.Join(dir, "copy"))
			}
			b.ReportMetric(float64(live)/packing.Seconds()/1e6, "pack-MB/s")
			b.ReportMetric(float64(live)/copying.Seconds()/1e6, "copy-MB/s")
			b.ReportMetric(copying.Seconds()/packing.Seconds(), "copy-ratio")
		})
	}
}

// BenchmarkCommitWhilePacking commits all the time, alone and while another
// handle packs, in turn.
func BenchmarkCommitWhilePacking(b *testing.B) {
	dir := b.TempDir()
	base := filepath.Join(dir, "base.durus")
	forest(b, base, benchObjects(), 1000)
	var alone, packing, lock time.Duration
	for range b.N {
		path := filepath.Join(dir, "x.durus")
		copyFile(b, base, path)
		s, p := openReal(b, path, storage.SyncAlways), openReal(b, path, storage.SyncAlways)
		var stop atomic.Bool
		worst := func() chan time.Duration {
			out := make(chan time.Duration, 1)
			stop.Store(false)
			go func() {
				longest := time.Duration(0)
				for i := storage.OID(2); !stop.Load(); i++ {
					begun := time.Now()
					snap, err := s.Begin(ctx, true)
					if err == nil {
						_, err = s.Commit(ctx, &storage.Commit{Base: snap, Records: []storage.Record{{OID: 2 + i%1000, Class: 1, Codec: storage.CodecMsgpack, Payload: make([]byte, 1000)}}})
						snap.Release()
					}
					if err != nil {
						b.Error(err)
						break
					}
					longest = max(longest, time.Since(begun))
				}
				out <- longest
			}()
			return out
		}
		out := worst()
		time.Sleep(time.Second)
		stop.Store(true)
		alone = max(alone, <-out)
		out = worst()
		r, err := pack.Pack(ctx, p, pack.Options{})
		stop.Store(true)
		packing = max(packing, <-out)
		if err != nil {
			b.Fatal(err)
		}
		lock = max(lock, r.Lock)
		if err := errors.Join(s.Close(), p.Close()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(alone.Seconds()*1000, "worst-alone-ms")
	b.ReportMetric(packing.Seconds()*1000, "worst-packing-ms")
	b.ReportMetric(lock.Seconds()*1000, "lock-ms")
}

// BenchmarkOpen opens a packed database with its checkpoint and without, in turn,
// and finds an object.
func BenchmarkOpen(b *testing.B) {
	n := benchObjects()
	path := filepath.Join(b.TempDir(), "x.durus")
	forest(b, path, n, 50)
	s := openReal(b, path, storage.SyncAlways)
	if _, err := pack.Pack(ctx, s, pack.Options{}); err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(s.WriteIndex(ctx), s.Close()); err != nil {
		b.Fatal(err)
	}
	s = nil
	var opening time.Duration // of it Open alone: the first transaction syncs the directory
	open := func() time.Duration {
		begun := time.Now()
		s := openReal(b, path, storage.SyncAlways)
		opening += time.Since(begun)
		snap, err := s.Begin(ctx, false)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := snap.Find(storage.OID(n / 2)); err != nil {
			b.Fatal(err)
		}
		took := time.Since(begun)
		snap.Release()
		if s.Stats().Objects != uint64(n) {
			b.Fatal(s.Stats().Objects)
		}
		runtime.KeepAlive(s)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		return took
	}
	var with, without, alone time.Duration
	private := 0
	for range b.N {
		runtime.GC()
		before := anonymous()
		for range 5 { // others use the processor, too
			opening = 0
			took := open()
			if with == 0 || took < with {
				with, alone = took, opening
			}
		}
		private = max(private, anonymous()-before)
		if err := os.Rename(path+".index", path+".gone"); err != nil {
			b.Fatal(err)
		}
		without += open()
		_ = os.Remove(path + ".index")
		if err := os.Rename(path+".gone", path+".index"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(with.Seconds()*1000, "with-best-ms")
	b.ReportMetric(alone.Seconds()*1000, "of-it-Open-ms")
	b.ReportMetric(without.Seconds()*1000/float64(b.N), "without-ms")
	b.ReportMetric(float64(n)*float64(b.N)/without.Seconds()/1e6, "rebuilt-Mobj/s")
	b.ReportMetric(float64(private)/1024, "private-MB")
}

// anonymous is the private memory of this process, KiB.
func anonymous() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}
