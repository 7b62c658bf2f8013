package backup

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

// directoryCuts are power cuts of a disk with a directory of backups.
type directoryCuts struct {
	*bed
	judged map[[2]uint64]bool // images, with what had to be there
}

// TestCrashBackup stops a backup into a directory before each of its operations
// and cuts the power in all ways; then it is killed and another one runs, or it
// goes on, and the power is cut again. What a backup has reported can be
// restored, the directory verifies, and the next backup goes on, without litter.
// SCENARIO 85 86
func TestCrashBackup(t *testing.T) {
	kinds := []struct {
		name    string
		prepare func(b *bed)
		full    bool
	}{
		{"first", func(*bed) {}, false},
		{"increment", func(b *bed) { b.incremental() }, false},
		{"full after a full one", func(b *bed) { b.full() }, true},
		{"packed", func(b *bed) { b.incremental(); b.commit(); b.pack(0) }, false},
	}
	for _, kind := range kinds {
		for _, kill := range []bool{true, false} {
			t.Run(kind.name+map[bool]string{true: ", killed", false: ", stopped"}[kill], func(t *testing.T) {
				t.Parallel()
				step, states := 1, 0
				if testing.Short() {
					step = 5
				}
				for k, more := 0, true; more; k += step {
					b := &directoryCuts{newBed(t), map[[2]uint64]bool{}}
					b.chunk = 1500
					b.commit()
					b.commit()
					kind.prepare(b.bed)
					for range 4 {
						b.commit()
					}
					more = b.backupAt(k, kill, kind.full)
					states += len(b.judged)
					if !more {
						t.Logf("%d operations, %d states", k, states)
					}
					b.must(b.s.Close())
				}
			})
		}
	}
}

// backupAt does that for one operation; false if the backup has fewer.
func (b *directoryCuts) backupAt(k int, kill, full bool) (more bool) {
	b.Helper()
	said := storage.TID(0) // what the last backup that was reported holds
	if slices.Contains(b.names(), manifestName) {
		said = b.verify().Runs[0].To
	}
	do := Incremental
	if full {
		do = Full
	}
	p := b.process()
	h := halt(p, k, func() error {
		_, err := do(ctx, b.s, p, dir, b.options())
		return err
	})
	defer p.Kill() // whatever the test finds
	where := fmt.Sprint("stopped before ", h.op)
	if h.more {
		b.cut(where, said)
	}
	newest := b.past[len(b.past)-1].tid
	switch err := h.end(kill); {
	case err == nil:
		said = newest
	case !kill || !errors.Is(err, mem.ErrKilled):
		b.Fatalf("%s: %v", where, err)
	}
	b.cut(where+", over", said)
	b.incremental() // what it reports may rely on names that nobody has synced
	b.cut(where+", and another backup", newest)
	return h.more
}

// cut cuts the power in all ways, and judges.
func (b *directoryCuts) cut(where string, said storage.TID) {
	b.Helper()
	for im := range b.vault.Images(mem.Options{Samples: 4, Sectors: 1}) {
		if key := [2]uint64{im.Hash(), uint64(said)}; !b.judged[key] {
			b.judged[key] = true
			if err := b.judge(im.Disk(), said); err != nil {
				b.Fatalf("%s, power cut, %v: %v", where, im, err)
			}
		}
	}
}

func (b *directoryCuts) judge(vault *mem.Disk, said storage.TID) error {
	v, err := Verify(ctx, vault.Process("verify"), dir, nil)
	switch {
	case err != nil && said > 0:
		return err
	case err == nil && !v.OK():
		return fmt.Errorf("verify: %v", v.Problems)
	}
	if said > 0 {
		if err := b.brings(vault, RestoreOptions{AtTID: said}, said); err != nil {
			return fmt.Errorf("what was reported: %w", err)
		}
	}
	if _, err := Incremental(ctx, b.s, vault.Process("next"), dir, b.options()); err != nil {
		return fmt.Errorf("the next backup: %w", err)
	}
	if v, err = Verify(ctx, vault.Process("verify"), dir, nil); err != nil || !v.OK() || len(v.Unnamed) > 0 {
		return fmt.Errorf("after the next backup: %+v, %w", v, err)
	}
	for _, name := range vault.Names() {
		switch base := name[len(dir)+1:]; {
		case isChunk(base), base == manifestName, base == readmeName, base == lockName, base == "restored", base == "restored.lock":
		case temporaryName.MatchString(base): // of a Writer that was killed; vfs/posix removes it
		default:
			return fmt.Errorf("the next backup leaves %s", name)
		}
	}
	return b.brings(vault, RestoreOptions{Overwrite: true}, b.past[len(b.past)-1].tid)
}

// brings restores, beside the backups.
func (b *directoryCuts) brings(vault *mem.Disk, o RestoreOptions, want storage.TID) error {
	const to = dir + "/restored"
	if _, err := Restore(ctx, vault.Process("restore"), dir, to, o); err != nil {
		return err
	}
	s, err := filestorage.Open(to, filestorage.Options{FS: vault.Process("look"), Logger: slog.New(slog.DiscardHandler), ReadOnly: true, Now: b.clock})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(b.past, func(m moment) bool { return m.tid == want })
	b.holds(s, b.past[i])
	return s.Close()
}
