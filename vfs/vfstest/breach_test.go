package vfstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// breach is a storage with one mistake, and the rule that must find it.
type breach struct {
	rule, mistake string
	bent          bent
}

// file makes a storage whose files are bent.
func file(bend func(f vfs.File) vfs.File) bent {
	return bent{open: func(fsys vfs.FS, name string, mode vfs.Mode) vfs.File { return bend(fsys.Open(name, mode)) }}
}

// writer makes a storage whose writers are bent.
func writer(bend func(w vfs.Writer) vfs.Writer) bent {
	return bent{create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
		return bend(fsys.Create(name, mode, perm))
	}}
}

// locker makes a storage whose Lockers are bent.
func locker(bend func(l vfs.Locker) vfs.Locker) bent {
	return bent{locker: func(fsys vfs.FS, name string, data vfs.File, mode vfs.Mode) vfs.Locker {
		return bend(fsys.Locker(name, data, mode, 0o600))
	}}
}

// memEnv is the storage that is bent: it keeps all rules.
func memEnv() Env {
	d := mem.NewDisk()
	return Env{
		FS: d.Process("a"), Other: func() vfs.FS { return d.Process("b") }, Dir: "/dir",
		Crash: func() iter.Seq[vfs.FS] {
			return func(yield func(vfs.FS) bool) {
				for image := range d.Images(mem.Options{Models: mem.M1 | mem.M2 | mem.M6}) {
					if !yield(image.Disk().Process("after")) {
						return
					}
				}
			}
		},
	}
}

// The rules find nothing in a storage that is right.
func TestRulesFindNoBreach(t *testing.T) {
	for _, r := range rules() {
		if rec := record(t, r, time.Minute, memEnv()); rec.Failed() {
			t.Errorf("%s: %s", r.name, rec.reported())
		}
	}
}

// TestRulesFindBreaches tests the tests: each rule finds what is wrong with a
// storage made for it.
func TestRulesFindBreaches(t *testing.T) {
	findBreaches(t, slices.Concat(fileBreaches, writerBreaches, nameBreaches, lockBreaches), memEnv)
}

// findBreaches runs rules on a storage in which both views are bent.
func findBreaches(t *testing.T, breaches []breach, right func() Env) {
	known := map[string]rule{}
	for _, r := range rules() {
		known[r.name] = r
	}
	for _, b := range breaches {
		t.Run(b.rule+"/"+b.mistake, func(t *testing.T) {
			r, ok := known[b.rule]
			if !ok {
				t.Fatal("there is no such rule")
			}
			// Some mistakes show only if something is late or early enough, which a
			// busy machine may prevent.
			var rec *recorder
			for range 5 {
				env := right()
				own, other := b.bent, b.bent
				own.FS, other.FS = env.FS, env.Other()
				env.FS, env.Other = own, func() vfs.FS { return other }
				if rec = record(t, r, 200*time.Millisecond, env); rec.Failed() {
					t.Logf("found: %.200s", rec.reported()[0])
					return
				}
			}
			t.Fatalf("not found (skipped: %q)", rec.skipped)
		})
	}
}

var fileBreaches = []breach{
	{"Rule1_OpenCreateLockerDoNothing", "Open opens", bent{
		open: func(fsys vfs.FS, name string, mode vfs.Mode) vfs.File {
			f := fsys.Open(name, mode)
			_, _ = f.Stat() // too early
			return f
		}}},
	{"Rule1_ErrorOfOpeningStays", "each read opens anew", reopening},
	{"Rule3_A6_OldHandlesKeepOldBytes", "each read opens anew", reopening},
	{"Rule8_A21_ModeIsEnforced", "all can write", bent{
		open: func(fsys vfs.FS, name string, _ vfs.Mode) vfs.File { return fsys.Open(name, vfs.Append) }}},
	{"CloseEndsHandle", "Close does nothing", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, close: func() error { return nil }}
	})},
	{"Rule4_ReadAt", "no io.EOF", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, readAt: func(p []byte, off int64) (int, error) {
			n, err := f.ReadAt(p, off)
			if err == io.EOF {
				err = nil
			}
			return n, err
		}}
	})},
	{"Rule4_ReadAt", "the last byte is missing", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, readAt: func(p []byte, off int64) (int, error) {
			n, err := f.ReadAt(p, off)
			if err == io.EOF && n > 0 {
				n--
			}
			return n, err
		}}
	})},
	{"Rule4_ReadAt", "negative offsets count from the end", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, readAt: func(p []byte, off int64) (int, error) {
			if size, err := f.Size(); off < 0 && err == nil {
				off = max(0, size+off)
			}
			return f.ReadAt(p, off)
		}}
	})},
	{"A8_ManyReaders", "a cursor", file(func(f vfs.File) vfs.File {
		var mu sync.Mutex // guards at
		var at int64
		return bentFile{File: f, readAt: func(p []byte, off int64) (int, error) {
			mu.Lock()
			at = off
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
			defer mu.Unlock()
			return f.ReadAt(p, at)
		}}
	})},
	{"FileIDsTellFilesApart", "all files are one", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, stat: func() (vfs.Info, error) {
			info, err := f.Stat()
			info.ID = vfs.FileID{Dev: 1, Ino: 1}
			return info, err
		}}
	})},
	{"StatTellsWhatIsThere", "handles know more than names", bent{
		stat: func(fsys vfs.FS, name string) (vfs.Info, error) {
			info, err := fsys.Stat(name)
			info.Size = 0
			return info, err
		}}},
	{"Rule5_AppendPutsBytesAtTheEnd", "appended at the next Sync", file(func(f vfs.File) vfs.File {
		var later []byte
		var at int64
		flush := func() error {
			if later == nil {
				return nil
			}
			_, err := f.Append(later, at)
			later = nil
			return err
		}
		return bentFile{File: f, sync: func() error { return errors.Join(flush(), f.Sync()) }, add: func(p []byte, end int64) (int, error) {
			err := flush()
			later, at = bytes.Clone(p), end
			return len(p), err
		}}
	})},
	{"Rule5_AppendPutsBytesAtTheEnd", "one byte too many is reported", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, add: func(p []byte, end int64) (int, error) {
			n, err := f.Append(p, end)
			return n + 1, err
		}}
	})},
	{"Rule5_ReadersBesideAnAppender", "zeros before bytes", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, add: func(p []byte, end int64) (int, error) {
			_, err := f.Append(make([]byte, len(p)), end)
			time.Sleep(100 * time.Microsecond)
			n, err2 := f.Rewrite(p, end)
			return n, errors.Join(err, err2)
		}}
	})},
	{"RewriteKeepsTheSize", "Rewrite does nothing", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, rewrite: func(p []byte, _ int64) (int, error) { return len(p), nil }}
	})},
	{"TruncateCuts", "Truncate does nothing", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, truncate: func(int64) error { return nil }}
	})},
	{"TruncateAndAppendAgain", "all that was read is kept", keeping},
	{"Rule13_OnlySettledBytesAreKept", "all that was read is kept", keeping},
	{"B2_RandomOperationsAgainstAModel", "all that was read is kept", keeping},
	{"Rule13_AdviceChangesNothing", "advice makes a slice", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, advise: func(_ vfs.Advice, _, n int64) { _ = make([]byte, n%100) }}
	})},
	{"Rule6_SyncedBytesAreOnTheDisk", "Sync does nothing", file(func(f vfs.File) vfs.File {
		return bentFile{File: f, sync: func() error { return nil }}
	})},
	{"Rule6_SyncOfAnyHandle", "Sync of who has written nothing does nothing", file(func(f vfs.File) vfs.File {
		dirty := false
		return bentFile{File: f, add: func(p []byte, end int64) (int, error) {
			dirty = true
			return f.Append(p, end)
		}, sync: func() error {
			if dirty {
				return f.Sync()
			}
			return nil
		}}
	})},
	{"B2_RandomOperationsAgainstAModel", "one size in five is of another file", func() bent {
		calls, last := 0, int64(0)
		return file(func(f vfs.File) vfs.File {
			return bentFile{File: f, size: func() (int64, error) {
				n, err := f.Size()
				if calls++; calls%5 == 4 && err == nil {
					return last, nil
				}
				last = n
				return n, err
			}}
		})
	}()},
}

// reopening is a storage without handles.
var reopening = bent{open: func(fsys vfs.FS, name string, mode vfs.Mode) vfs.File {
	f := fsys.Open(name, mode)
	return bentFile{File: f, readAt: func(p []byte, off int64) (int, error) {
		g := fsys.Open(name, mode)
		n, err := g.ReadAt(p, off)
		return n, errors.Join(err, g.Close())
	}}
}}

// keeping is a cache that keeps bytes though nobody said that they are settled.
var keeping = file(func(f vfs.File) vfs.File {
	type span struct {
		off int64
		n   int
	}
	kept := map[span][]byte{}
	return bentFile{File: f, readAt: func(p []byte, off int64) (int, error) {
		if b, ok := kept[span{off, len(p)}]; ok {
			return copy(p, b), nil
		}
		n, err := f.ReadAt(p, off)
		if err == nil {
			kept[span{off, len(p)}] = bytes.Clone(p)
		}
		return n, err
	}}
})

var writerBreaches = []breach{
	{"Rule2_A4_InvisibleUntilCommit", "written under its name", bent{
		create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			_ = put(fsys, name, mode, nil) // so that it is there
			return fsys.Create(name, vfs.ReplaceIfExists, perm)
		}}},
	{"Rule2_A4_InvisibleUntilCommit", "written under a name that shows", bent{
		create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			w := fsys.Create(name, mode, perm)
			return bentWriter{Writer: w,
				write:  func(p []byte) (int, error) { _ = put(fsys, name+".tmp", vfs.ReplaceIfExists, p); return w.Write(p) },
				commit: func() error { _ = fsys.Remove(name + ".tmp"); return w.Commit() },
			}
		}}},
	{"Rule2_A2_WritesSucceedCommitTells", "Write tells", bent{
		create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			w := fsys.Create(name, mode, perm)
			return bentWriter{Writer: w, write: func(p []byte) (int, error) {
				if _, err := fsys.Stat(name); err == nil {
					return 0, fs.ErrExist
				}
				return w.Write(p)
			}}
		}}},
	{"Rule2_A2_WritesSucceedCommitTells", "Commit tells once", writer(func(w vfs.Writer) vfs.Writer {
		told := false
		return bentWriter{Writer: w, commit: func() error {
			if told {
				return nil
			}
			told = true
			return w.Commit()
		}}
	})},
	{"Rule2_NameThatIsTaken", "always replaced", bent{
		create: func(fsys vfs.FS, name string, _ vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			return fsys.Create(name, vfs.ReplaceIfExists, perm)
		}}},
	{"WriteAfterTheEndIsErrClosed", "Write takes all", writer(func(w vfs.Writer) vfs.Writer {
		return bentWriter{Writer: w, write: func(p []byte) (int, error) { _, _ = w.Write(p); return len(p), nil }}
	})},
	{"AbortLeavesNothing", "Abort commits", writer(func(w vfs.Writer) vfs.Writer {
		return bentWriter{Writer: w, abort: w.Commit}
	})},
	{"EmptyCommit", "nothing written, nothing made", writer(func(w vfs.Writer) vfs.Writer {
		written := false
		return bentWriter{Writer: w, write: func(p []byte) (int, error) { written = written || len(p) > 0; return w.Write(p) },
			commit: func() error {
				if !written {
					return w.Abort()
				}
				return w.Commit()
			}}
	})},
	{"Rule4_LargeFile", "Write keeps the caller's bytes", writer(func(w vfs.Writer) vfs.Writer {
		var kept [][]byte
		return bentWriter{Writer: w, write: func(p []byte) (int, error) { kept = append(kept, p); return len(p), nil },
			commit: func() error {
				for _, p := range kept {
					_, _ = w.Write(p) // Commit tells
				}
				return w.Commit()
			}}
	})},
	{"Rule3_A5_OneCreatorWins", "looks, then replaces", bent{
		create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			w := fsys.Create(name, vfs.ReplaceIfExists, perm)
			return bentWriter{Writer: w, commit: func() error {
				if _, err := fsys.Stat(name); err == nil && mode == vfs.FailIfExists {
					return errors.Join(fs.ErrExist, w.Abort())
				}
				time.Sleep(time.Millisecond)
				return w.Commit()
			}}
		}}},
	{"Rule3_A6_ReadersSeeOldOrNew", "removed, then created", bent{
		create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			w := fsys.Create(name, vfs.FailIfExists, perm)
			return bentWriter{Writer: w, commit: func() error {
				if mode == vfs.ReplaceIfExists {
					_ = fsys.Remove(name) // it may not be there
					time.Sleep(100 * time.Microsecond)
				}
				return w.Commit()
			}}
		}}},
	{"Rule3_A6_OldHandlesKeepOldBytes", "replaced in place", replacedInPlace},
	{"Rule3_A6_ReadersSeeOldOrNew", "replaced in place", replacedInPlace},
	{"Rule3_ReplacedFilesAreOldOrNew", "replaced in place", replacedInPlace},
	{"WritersAreIndependent", "one writer for a name", bent{
		create: func() func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
			var mu sync.Mutex // guards all
			all := map[string]*bytes.Buffer{}
			return func(fsys vfs.FS, name string, mode vfs.CreateMode, _ fs.FileMode) vfs.Writer {
				mu.Lock()
				defer mu.Unlock()
				if all[name] == nil {
					all[name] = new(bytes.Buffer)
				}
				return bentWriter{write: all[name].Write, commit: func() error { return put(fsys, name, mode, all[name].Bytes()) },
					abort: func() error { return nil }}
			}
		}()}},
	{"Rule2_CommittedFilesAreWhole", "the name comes before the bytes", bent{
		create: func(fsys vfs.FS, name string, mode vfs.CreateMode, _ fs.FileMode) vfs.Writer {
			var all bytes.Buffer
			return bentWriter{write: all.Write, abort: func() error { return nil }, commit: func() error {
				err := errors.Join(put(fsys, name, mode, nil), fsys.SyncDir(name))
				f := fsys.Open(name, vfs.Append)
				_, appendErr := f.Append(all.Bytes(), 0)
				return errors.Join(err, appendErr, f.Close())
			}}
		}}},
}

// replacedInPlace is a storage that writes a new file over the old one.
var replacedInPlace = bent{
	create: func(fsys vfs.FS, name string, mode vfs.CreateMode, perm fs.FileMode) vfs.Writer {
		w := fsys.Create(name, mode, perm)
		var all bytes.Buffer
		return bentWriter{Writer: w, write: func(p []byte) (int, error) { all.Write(p); return w.Write(p) }, commit: func() error {
			if _, err := fsys.Stat(name); err != nil || mode == vfs.FailIfExists {
				return w.Commit()
			}
			f := fsys.Open(name, vfs.Append)
			err := f.Truncate(0)
			runtime.Gosched()
			_, appendErr := f.Append(all.Bytes(), 0)
			return errors.Join(err, appendErr, f.Close(), w.Abort())
		}}
	}}

var nameBreaches = []breach{
	{"ListShowsNamesInOrder", "backwards", bent{list: func(fsys vfs.FS, prefix string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			names, _ := list(fsys, prefix) // mem lists without errors
			for _, name := range slices.Backward(names) {
				if !yield(name, nil) {
					return
				}
			}
		}
	}}},
	{"ListShowsNamesInOrder", "names without their directory", bent{list: func(fsys vfs.FS, prefix string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for name, err := range fsys.List(prefix) {
				if !yield(name[strings.LastIndex(name, "/")+1:], err) {
					return
				}
			}
		}
	}}},
	{"ListStopsWhenToldTo", "goes on", bent{list: func(fsys vfs.FS, prefix string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for name, err := range fsys.List(prefix) {
				yield(name, err)
			}
		}
	}}},
	{"ListLeavesDirectoriesOut", "all that lies below", bent{list: func(fsys vfs.FS, prefix string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			names, _ := list(fsys, prefix)     // mem lists without errors
			deep, _ := list(fsys, "/dir/sub/") // likewise
			names = append(names, deep...)     // "/dir/sub/x"
			names = slices.Compact(slices.Sorted(slices.Values(names)))
			for _, name := range names {
				if strings.HasPrefix(name, prefix) && !yield(name, nil) {
					return
				}
			}
		}
	}}},
	{"RemoveRemovesANameOnce", "gone is gone", bent{remove: func(fsys vfs.FS, name string) error {
		if err := fsys.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}}},
	{"MissingNames", "the error names nothing", bent{stat: func(fsys vfs.FS, name string) (vfs.Info, error) {
		info, err := fsys.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist
		}
		return info, err
	}}},
	{"ResolveIsStable", "each time another root", bent{resolve: func(fsys vfs.FS, name string) (string, error) {
		name, err := fsys.Resolve(name)
		return "/root" + name, err
	}}},
	{"PropsAreStable", "locks where there is a file", bent{props: func(fsys vfs.FS, name string) vfs.Props {
		p := fsys.Props(name)
		_, err := fsys.Stat(name)
		p.Locks = err == nil
		return p
	}}},
	{"Rule7_NamesAreOnTheDiskAfterSyncDir", "SyncDir does nothing", bent{syncDir: func(vfs.FS, string) error { return nil }}},
	{"NotRegular", "a directory is an empty file", bent{
		open: func(fsys vfs.FS, name string, mode vfs.Mode) vfs.File {
			f := fsys.Open(name, mode)
			return bentFile{File: f, size: func() (int64, error) {
				n, err := f.Size()
				if errors.Is(err, vfs.ErrNotRegular) {
					err = nil
				}
				return n, err
			}}
		}}},
}

var lockBreaches = []breach{
	{"Rule9_A9_A10_LockersExclude", "always free", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, tryLock: func() (bool, error) { return true, nil }}
	})},
	{"Rule9_A9_A10_LockersExclude", "busy is an error", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, tryLock: func() (bool, error) {
			ok, err := l.TryLock()
			if !ok && err == nil {
				err = errors.New("busy")
			}
			return ok, err
		}}
	})},
	{"Rule9_F13_OtherLockFilesExclude", "only the lock file is locked", withoutData},
	{"Rule9_H4_DeletedLockFile", "only the lock file is locked", withoutData},
	{"LockerOfAMissingFile", "only the lock file is locked", withoutData},
	{"Rule9_A10_OtherHandlesChangeNothing", "any Close gives the lock back", func() bent {
		var mu sync.Mutex // guards holder
		var holder vfs.Locker
		return locker(func(l vfs.Locker) vfs.Locker {
			return bentLocker{Locker: l, tryLock: func() (bool, error) {
				ok, err := l.TryLock()
				if ok {
					mu.Lock()
					holder = l
					mu.Unlock()
				}
				return ok, err
			}, close: func() error {
				mu.Lock()
				defer mu.Unlock()
				if holder != nil {
					_ = holder.Unlock() // it may have done so itself
					holder = nil
				}
				return l.Close()
			}}
		})
	}()},
	{"Rule9_UnlockNeedsTheLock", "Unlock always succeeds", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, unlock: func() error { _ = l.Unlock(); return nil }}
	})},
	{"Rule9_A12_CloseGivesBack", "Close does nothing", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, close: func() error { return nil }}
	})},
	{"Rule9_H4_DeletedLockFile", "Incarnation does not change", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, incarnation: func() uint64 { return 1 }}
	})},
	{"HolderIsTheHolder", "everybody", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, holder: func() int { return 1 }}
	})},
	{"ReadOnlyLockerCreatesNothing", "the mode is nothing", bent{
		locker: func(fsys vfs.FS, name string, data vfs.File, _ vfs.Mode) vfs.Locker {
			return fsys.Locker(name, data, vfs.Append, 0o600)
		}}},
	{"LockWaitsForUnlock", "Lock does not wait", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, lock: func(context.Context) error { _, err := l.TryLock(); return err }}
	})},
	{"CrowdExcludesItself", "Lock does not wait", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, lock: func(context.Context) error { _, err := l.TryLock(); return err }}
	})},
	{"LockEndsWithItsContext", "the error is dressed", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, lock: func(ctx context.Context) error {
			if err := l.Lock(ctx); err != nil {
				return fmt.Errorf("lock: %w", err)
			}
			return nil
		}}
	})},
	{"LockEndsWithItsContext", "a late lock is kept", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, lock: func(ctx context.Context) error {
			got := make(chan error, 1)
			go func() { got <- l.Lock(context.Background()) }()
			select {
			case err := <-got:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
	})},
	{"MarkIsUpdatedAtomically", "read, then written", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, updateMark: func(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
			var p [vfs.MarkSize]byte
			n, err := l.ReadMark(&p)
			if err != nil || !update(&p, n == vfs.MarkSize) {
				return err
			}
			runtime.Gosched()
			return l.UpdateMark(ctx, func(q *[vfs.MarkSize]byte, _ bool) bool { *q = p; return true })
		}}
	})},
	{"MarkIsKept", "what is not wanted is written", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, updateMark: func(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
			return l.UpdateMark(ctx, func(p *[vfs.MarkSize]byte, ok bool) bool { update(p, ok); return true })
		}}
	})},
	{"MarkEndsWithItsContext", "a context that is over is none", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, updateMark: func(ctx context.Context, update func(p *[vfs.MarkSize]byte, ok bool) bool) error {
			if ctx.Err() != nil {
				update(new([vfs.MarkSize]byte), false)
				return nil
			}
			return l.UpdateMark(ctx, update)
		}}
	})},
	{"MarkIsLostWithTheLockFile", "Reopen does nothing", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, reopen: func() error { return nil }}
	})},
	{"ReopenFindsTheLockFile", "Reopen does nothing", locker(func(l vfs.Locker) vfs.Locker {
		return bentLocker{Locker: l, reopen: func() error { return nil }}
	})},
}

// withoutData is a storage whose locks know nothing of the file that they guard.
var withoutData = bent{locker: func(fsys vfs.FS, name string, _ vfs.File, mode vfs.Mode) vfs.Locker {
	return fsys.Locker(name, nil, mode, 0o600)
}}
