package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Verdict is what Verify found.
type Verdict struct {
	Runs     []RunInfo
	Problems []*DamageError
	Unnamed  []string // chunks that the manifest does not name: of an interrupted backup, the next one removes them
}

// OK reports whether nothing is wrong.
func (v *Verdict) OK() bool { return len(v.Problems) == 0 }

// RunInfo describes a run.
type RunInfo struct {
	Number   int
	Reason   Reason // why it began with a full backup
	Complete bool   // else it was interrupted: the next backup goes on with it, and it cannot be restored
	Chunks   int
	Bytes    int64
	From     storage.TID // it holds the states at this transaction and later; 0: from the first one on
	To       storage.TID // newest transaction that can be restored from it; 0: none
	ToTime   time.Time   // of its commit, or of what was written after it
	Written  time.Time   // when its last chunk was
}

// Verify reads a whole directory of backups and checks it: every chunk against
// its checksum, every run against the rules for database files. It writes
// nothing, and goes on behind damage. progress, if not nil, is called now and
// then with bytes done and in all. Errors: fs.ErrNotExist (no backups), the
// context's, those of the storage; what is wrong with the chunks is in the
// Verdict, and a damaged manifest is a *DamageError.
func Verify(ctx context.Context, fsys vfs.FS, dir string, progress func(done, total int64)) (*Verdict, error) {
	fsys, dir = vfs.Blocking(fsys), filepath.Clean(dir)
	m, err := load(fsys, dir)
	if err != nil {
		return nil, missing(dir, err)
	}
	v := &Verdict{}
	c := checking{fs: fsys, dir: dir, progress: progress}
	for _, r := range m.Runs {
		c.total += 2 * r.end().End
	}
	for i, r := range m.Runs {
		info, problems, err := c.run(ctx, i+1, r)
		if err != nil {
			return nil, err
		}
		v.Runs = append(v.Runs, info)
		v.Problems = append(v.Problems, problems...)
	}
	names, err := chunksIn(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch {
		case m.names(name):
		case chunkNumber(name) <= m.Next:
			v.Unnamed = append(v.Unnamed, name)
		default:
			v.Problems = append(v.Problems, &DamageError{Dir: dir, Name: name, Reason: "the manifest does not name it: is the manifest an old one?"})
		}
	}
	return v, nil
}

// checking is one Verify.
type checking struct {
	fs       vfs.FS
	dir      string
	progress func(done, total int64)
	total    int64
	before   int64 // bytes of the total that earlier steps have checked
}

func (c *checking) tell(done int64) {
	if c.progress != nil {
		c.progress(c.before+done, c.total)
	}
}

// run checks the chunks of a run one by one, and then as one file.
func (c *checking) run(ctx context.Context, number int, r *run) (RunInfo, []*DamageError, error) {
	last := r.Chunks[len(r.Chunks)-1]
	info := RunInfo{
		Number: number, Reason: r.Reason, Complete: r.Complete, Chunks: len(r.Chunks),
		Bytes: r.end().End, From: r.Horizon, Written: last.Written,
	}
	var problems []*DamageError
	for i := range r.Chunks {
		p, err := c.chunk(ctx, &r.Chunks[i])
		if err != nil {
			return info, nil, err
		}
		if p != nil {
			problems = append(problems, p)
		}
		c.before += r.Chunks[i].size()
	}
	src, err := openRun(c.fs, c.dir, &manifest{Runs: []*run{r.asComplete()}}, RestoreOptions{})
	if err == nil {
		err = errors.Join(src.copy(ctx, io.Discard, RestoreOptions{Progress: func(done, _ int64) { c.tell(done) }}), src.close())
	}
	c.before += r.end().End
	var damage *DamageError
	switch {
	case err == nil:
		info.To, info.ToTime = r.end().TID, time.UnixMicro(r.end().Time)
	case errors.As(err, &damage):
		info.To, info.ToTime = damage.Usable, damage.UsableTime
		problems = merge(problems, damage)
	default:
		return info, nil, err
	}
	if !r.Complete {
		info.To, info.ToTime = 0, time.Time{}
	}
	return info, problems, nil
}

// asComplete makes the part of a run that was interrupted one that can be read.
func (r *run) asComplete() *run {
	whole := *r
	whole.Complete = true
	return &whole
}

// merge adds what the frames say of a chunk. It tells the place, and up to
// where the run can be used, where the checksum told only that something is wrong.
func merge(problems []*DamageError, d *DamageError) []*DamageError {
	for i, p := range problems {
		if p.Name == d.Name {
			problems[i] = d
			return problems
		}
	}
	return append(problems, d)
}

// chunk holds a chunk against its checksum.
func (c *checking) chunk(ctx context.Context, k *chunk) (*DamageError, error) {
	files, err := openChunks(c.fs, c.dir, &run{Chunks: []chunk{{Name: k.Name, End: point{End: k.size()}}}})
	if err != nil {
		return nil, err
	}
	defer files.Close() // it was only read
	if files.gap != nil {
		return files.gap, nil
	}
	sum := sha256.New()
	buf := make([]byte, min(k.size(), 1<<20))
	for off := int64(0); off < k.size(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := files.ReadAt(buf[:min(int64(len(buf)), k.size()-off)], off)
		if err != nil {
			return nil, fmt.Errorf("durus: read %s: %w", within(c.dir, k.Name), err)
		}
		sum.Write(buf[:n])
		off += int64(n)
		c.tell(off)
	}
	if hex.EncodeToString(sum.Sum(nil)) != k.SHA256 {
		return &DamageError{Dir: c.dir, Name: k.Name, Reason: "its bytes are not those that were written (SHA-256)"}, nil
	}
	return nil, nil
}
