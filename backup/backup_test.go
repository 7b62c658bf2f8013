package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// SCENARIO 86: a full backup, increments, restores to every transaction and to
// every time.
func TestRuns(t *testing.T) {
	b := newBed(t)
	for i := range 12 {
		for range i % 4 {
			b.commit()
		}
		r := b.incremental()
		want := Report{Full: i == 0, Run: 1, Nothing: i > 0 && i%4 == 0}
		if i == 0 {
			want.Reason = First
		}
		if r.Full != want.Full || r.Run != 1 || r.Nothing != want.Nothing || r.Reason != want.Reason || r.Nothing != (r.Bytes == 0) {
			t.Errorf("step %d: %+v", i, r)
		}
		if n := len(b.past); n > 0 && r.TID != b.past[n-1].tid {
			t.Errorf("step %d: %s, want %s", i, r.TID, b.past[n-1].tid)
		}
	}
	v := b.verify()
	if len(v.Runs) != 1 || !v.Runs[0].Complete || v.Runs[0].To != b.past[len(b.past)-1].tid || len(v.Unnamed) > 0 {
		t.Errorf("%+v", v)
	}
	for _, m := range b.past {
		for _, o := range []RestoreOptions{{AtTID: m.tid}, {AtTID: m.tid + 1}, {AtTime: m.time}, {AtTime: m.time.Add(time.Microsecond)}} {
			r, s, err := b.restore(o)
			b.must(err)
			if r.TID != m.tid || r.Run != 1 {
				t.Errorf("%+v: %+v", o, r)
			}
			b.holds(s, m)
		}
	}
	_, s, err := b.restore(RestoreOptions{})
	b.must(err)
	b.holds(s, b.past[len(b.past)-1])
	for _, o := range []RestoreOptions{{AtTID: b.past[0].tid - 1}, {AtTime: b.past[0].time.Add(-time.Microsecond)}, {Run: 2}} {
		if _, _, err := b.restore(o); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if want := []string{"000001.chunk", lockName, manifestName, readmeName}; !containsAll(b.names(), want) {
		t.Errorf("%v", b.names())
	}
}

func containsAll(all, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(all, s) })
}

// SCENARIO 86: after a pack the next backup is a full one and says so; older
// runs still lead to what was packed away.
func TestFullAfterPack(t *testing.T) {
	b := newBed(t)
	for range 10 {
		b.commit()
	}
	b.incremental()
	early := b.past[4]
	b.pack(0)
	for range 3 {
		b.commit()
	}
	if r := b.incremental(); !r.Full || r.Reason != Packed || r.Run != 2 {
		t.Errorf("%+v", r)
	}
	b.commit()
	if r := b.incremental(); r.Full || r.Run != 2 {
		t.Errorf("%+v", r)
	}
	if r := b.full(); !r.Full || r.Reason != Asked || r.Run != 3 {
		t.Errorf("%+v", r)
	}
	b.verify()
	for _, m := range b.past[9:] {
		r, s, err := b.restore(RestoreOptions{AtTID: m.tid})
		b.must(err)
		if r.Run != 3 {
			t.Errorf("%s came from run %d", m.tid, r.Run)
		}
		b.holds(s, m)
	}
	r, s, err := b.restore(RestoreOptions{AtTime: early.time})
	b.must(err)
	if r.Run != 1 {
		t.Errorf("%+v", r)
	}
	b.holds(s, early)
	if _, _, err := b.restore(RestoreOptions{AtTID: early.tid, Run: 2}); !errors.Is(err, storage.ErrPacked) {
		t.Errorf("what run 2 does not hold: %v", err)
	}
}

// A database that was restored to an older state gets a full backup; what it
// had before is in the run before. S86 F25
func TestFullAfterRestore(t *testing.T) {
	b := newBed(t)
	for range 6 {
		b.commit()
	}
	b.incremental()
	lost := b.past[5]
	fsys := b.vault.Process("r")
	// The database is on the other disk: its file is carried over.
	_, err := Restore(ctx, fsys, dir, dbPath, RestoreOptions{AtTID: b.past[2].tid})
	b.must(err)
	data, err := b.vault.ReadFile(dbPath)
	b.must(err)
	b.must(b.disk.WriteFile(dbPath, data))
	b.past = b.past[:3]
	for range 3 {
		b.commit()
	}
	if r := b.incremental(); !r.Full || r.Reason != Rewound || r.Run != 2 {
		t.Errorf("%+v", r)
	}
	for _, m := range b.past {
		_, s, err := b.restore(RestoreOptions{AtTID: m.tid})
		b.must(err)
		b.holds(s, m)
	}
	_, s, err := b.restore(RestoreOptions{Run: 1})
	b.must(err)
	b.holds(s, lost)
	b.verify()
}

// A directory is for one database, and for one backup at a time.
func TestDirectoryIsTaken(t *testing.T) {
	b := newBed(t)
	b.commit()
	b.full()
	other := newBed(t)
	other.vault = b.vault
	other.commit()
	if _, err := Full(ctx, other.s, b.process(), dir, other.options()); !errors.Is(err, storage.ErrForeign) || !strings.Contains(err.Error(), dir) {
		t.Errorf("another database: %v", err)
	}
	d, err := openDirectory(b.process(), dir)
	b.must(err)
	if _, err := Incremental(ctx, b.s, b.process(), dir, b.options()); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("two backups: %v", err)
	}
	b.must(d.close())
	b.incremental()
	b.verify()
}

// SCENARIO 85: a backup that is interrupted at any operation leaves a directory
// without problems, and the next one goes on, without litter.
func TestInterrupted(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 5
	}
	for _, full := range []bool{true, false} {
		for n := 1; ; n += step {
			b := newBed(t)
			b.chunk = 700
			b.commit()
			if !full {
				b.incremental()
			}
			for range 8 {
				b.commit()
			}
			p := b.process()
			stop := b.vault.Inject(mem.Fault{Process: p.Name(), Nth: n, Action: mem.Kill()})
			_, err := Incremental(ctx, b.s, p, dir, b.options())
			if stop() == 0 {
				b.must(err)
				break
			}
			if err == nil && n < 5 {
				t.Fatalf("operation %d: it was killed, and has succeeded", n)
			}
			if slices.Contains(b.names(), manifestName) {
				b.verify()
			}
			r := b.incremental()
			if r.Full && r.Resumed && r.Bytes == 0 != r.Nothing && len(r.Chunks) > 0 {
				t.Errorf("operation %d: %+v", n, r)
			}
			if v := b.verify(); len(v.Unnamed) > 0 || len(v.Runs) != 1 {
				t.Errorf("operation %d: %+v", n, v)
			}
			_, s, err := b.restore(RestoreOptions{})
			b.must(err)
			b.holds(s, b.past[len(b.past)-1])
		}
	}
}

// An interrupted full backup goes on; if the database was packed meanwhile what
// there is of it goes, and the runs before it stay.
func TestUnfinishedRun(t *testing.T) {
	b := newBed(t)
	b.chunk = 700
	for range 6 {
		b.commit()
	}
	b.full()
	b.pack(0)
	stopped, cancel := context.WithCancel(ctx)
	o := b.options()
	o.Progress = func(done, total int64) {
		if done > 2*b.chunk {
			cancel()
		}
	}
	if _, err := Incremental(stopped, b.s, b.process(), dir, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	v := b.verify()
	if len(v.Runs) != 2 || v.Runs[1].Complete || v.Runs[1].To != 0 {
		t.Fatalf("%+v", v.Runs)
	}
	r, _, err := b.restore(RestoreOptions{})
	b.must(err)
	if r.Run != 1 {
		t.Errorf("restored from run %d, which is not complete", r.Run)
	}
	if _, _, err := b.restore(RestoreOptions{Run: 2}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("half a run: %v", err)
	}
	b.commit()
	b.pack(0)
	if r := b.full(); !r.Full || r.Resumed || r.Reason != Packed || r.Run != 2 {
		t.Errorf("%+v", r)
	}
	v = b.verify()
	if len(v.Runs) != 2 || len(v.Unnamed) > 0 {
		t.Errorf("%+v", v)
	}
	_, s, err := b.restore(RestoreOptions{})
	b.must(err)
	b.holds(s, b.past[len(b.past)-1])
}

// SCENARIO 60, 71: a full disk is told as such, and leaves nothing but what
// was complete before.
func TestFullDisk(t *testing.T) {
	b := newBed(t)
	b.commit()
	b.incremental()
	for range 20 {
		b.commit()
	}
	before := b.names()
	for _, space := range []int64{0, 100, 1000} {
		b.vault.SetSpace(space)
		if _, err := Incremental(ctx, b.s, b.process(), dir, b.options()); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%d bytes: %v", space, err)
		}
		if _, _, err := b.restore(RestoreOptions{}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("restore with %d bytes: %v", space, err)
		}
	}
	b.vault.SetSpace(-1)
	if !slices.Equal(b.names(), before) {
		t.Errorf("%v, before %v", b.names(), before)
	}
	b.incremental()
	b.verify()
}

// SCENARIO 86: what is wrong with a directory is found, each with its name, and
// a restore says up to which transaction it is possible.
func TestDamage(t *testing.T) {
	flip := func(b *bed, name string, at int) {
		data, err := b.vault.ReadFile(dir + "/" + name)
		b.must(err)
		data[(at+len(data))%len(data)] ^= 4
		b.must(b.vault.WriteFile(dir+"/"+name, data))
	}
	cases := []struct {
		name   string
		file   string // that must be named
		usable int    // chunks before the damage
		do     func(b *bed)
	}{
		{"missing", "000003.chunk", 2, func(b *bed) { b.must(b.vault.Remove(dir + "/000003.chunk")) }},
		{"the first is missing", "000001.chunk", 0, func(b *bed) { b.must(b.vault.Remove(dir + "/000001.chunk")) }},
		{"truncated", "000003.chunk", 2, func(b *bed) { b.must(b.vault.Truncate(dir+"/000003.chunk", 50)) }},
		{"empty", "000002.chunk", 1, func(b *bed) { b.must(b.vault.Truncate(dir+"/000002.chunk", 0)) }},
		{"a bit at the begin", "000002.chunk", 1, func(b *bed) { flip(b, "000002.chunk", 7) }},
		{"a bit at the end", "000004.chunk", 3, func(b *bed) { flip(b, "000004.chunk", -1) }},
		{"a bit in the file header", "000001.chunk", 0, func(b *bed) { flip(b, "000001.chunk", 3); flip(b, "000001.chunk", 512+3) }},
		{"reordered", "000002.chunk", 1, func(b *bed) {
			b.must(b.vault.Rename(dir+"/000002.chunk", dir+"/x"))
			b.must(b.vault.Rename(dir+"/000003.chunk", dir+"/000002.chunk"))
			b.must(b.vault.Rename(dir+"/x", dir+"/000003.chunk"))
		}},
		{"of another database", "000003.chunk", 2, func(b *bed) {
			o := newBed(b)
			for range 5 {
				o.commit()
				o.incremental()
			}
			data, err := o.vault.ReadFile(dir + "/000003.chunk")
			b.must(err)
			b.must(b.vault.WriteFile(dir+"/000003.chunk", data))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.chunk = 1 << 20
			for range 5 {
				b.commit()
				b.incremental()
			}
			c.do(b)
			v, err := Verify(ctx, b.process(), dir, nil)
			b.must(err)
			if v.OK() || v.Problems[0].Name != c.file {
				t.Fatalf("%+v", v.Problems)
			}
			var want storage.TID
			if c.usable > 0 {
				want = b.past[c.usable-1].tid
			}
			if v.Runs[0].To != want {
				t.Errorf("usable up to %s, want %s", v.Runs[0].To, want)
			}
			_, _, err = b.restore(RestoreOptions{})
			var damage *DamageError
			if !errors.As(err, &damage) || !errors.Is(err, storage.ErrCorrupt) || damage.Name != c.file || damage.Usable != want {
				t.Fatalf("restore: %v", err)
			}
			if want == 0 {
				return
			}
			if !strings.Contains(err.Error(), want.String()) {
				t.Errorf("it does not say how far: %v", err)
			}
			_, s, err := b.restore(RestoreOptions{AtTID: want})
			b.must(err)
			b.holds(s, b.past[c.usable-1])
			if _, _, err := b.restore(RestoreOptions{AtTime: b.past[c.usable].time}); !errors.As(err, &damage) {
				t.Errorf("the transaction behind it: %v", err)
			}
		})
	}
}

// A manifest that is damaged, missing or from a newer program is told as such,
// and nothing is removed.
func TestManifest(t *testing.T) {
	b := newBed(t)
	for range 3 {
		b.commit()
		b.incremental()
	}
	name := dir + "/" + manifestName
	good, err := b.vault.ReadFile(name)
	b.must(err)
	before := b.names()
	refused := func(what string, want error) {
		t.Helper()
		_, verifyErr := Verify(ctx, b.process(), dir, nil)
		_, _, restoreErr := b.restore(RestoreOptions{})
		_, backupErr := Incremental(ctx, b.s, b.process(), dir, b.options())
		for _, err := range []error{verifyErr, restoreErr, backupErr} {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	step := 1
	if testing.Short() {
		step = 23
	}
	for i := 0; i < len(good); i += step {
		bad := slices.Clone(good)
		bad[i] ^= 1
		b.must(b.vault.WriteFile(name, bad))
		if m, err := load(b.process(), dir); err == nil {
			same, _ := m.encode() // white space may change
			if string(same) != string(good) {
				t.Fatalf("byte %d: accepted", i)
			}
		}
	}
	for _, n := range []int{0, 1, len(good) / 2, len(good) - 3} {
		b.must(b.vault.WriteFile(name, good[:n]))
		refused(fmt.Sprint(n, " bytes"), storage.ErrCorrupt)
	}
	newer := manifest{Format: 2}
	data, err := newer.encode()
	b.must(err)
	b.must(b.vault.WriteFile(name, data))
	refused("newer", storage.ErrTooNew)
	b.must(b.vault.Remove(name))
	if _, err := Incremental(ctx, b.s, b.process(), dir, b.options()); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("missing: %v", err)
	}
	if _, err := Verify(ctx, b.process(), dir, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	b.must(b.vault.WriteFile(name, good))
	if !slices.Equal(b.names(), before) {
		t.Errorf("%v, before %v", b.names(), before)
	}
	b.incremental()
	b.verify()
}

// Damage in the database does not get into a backup, and what was there before
// stays as it was.
func TestDamagedDatabase(t *testing.T) {
	b := newBed(t)
	for range 4 {
		b.commit()
	}
	b.incremental()
	end := b.past[3]
	mid := b.s.Stats().End + 200
	b.commit()
	b.commit()
	data, err := b.disk.ReadFile(dbPath)
	b.must(err)
	b.must(b.disk.Patch(dbPath, mid, []byte{^data[mid]}))
	var damage *storage.CorruptError
	for _, f := range []func() (Report, error){
		func() (Report, error) { return Incremental(ctx, b.s, b.process(), dir, b.options()) },
		func() (Report, error) { return Full(ctx, b.s, b.process(), dir, b.options()) },
	} {
		if _, err := f(); !errors.As(err, &damage) || damage.Path != dbPath {
			t.Errorf("%v", err)
		}
	}
	b.verify()
	_, s, err := b.restore(RestoreOptions{Run: 1})
	b.must(err)
	b.holds(s, end)
	b.must(b.disk.Patch(dbPath, mid, []byte{data[mid]}))
}
