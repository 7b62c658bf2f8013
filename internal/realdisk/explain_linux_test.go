package realdisk

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/mem"
)

// The memory disk is a promise about real ones: what they leave after a power
// cut, it can leave. Here a real one is held against it.

// files are the files of a directory by name. Those of writers that are not
// done have all one name: theirs are random.
type files map[string][]byte

var temporary = regexp.MustCompile(`\.new\.[0-9a-f]{16}$`)

func readFiles(dir string) (files, error) {
	all := make(files)
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all[e.Name()] = b
	}
	return all, err
}

// names are their names, sorted.
func (f files) names() string {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	return spelled(names)
}

func spelled(names []string) string {
	for i, name := range names {
		names[i] = temporary.ReplaceAllString(strings.TrimPrefix(name, "/"), ".new")
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// replay makes a memory disk on which the same has happened, or nil when that
// cannot be told. certain is false when it cannot be told of the names.
func replay(before files, changes []change) (d *mem.Disk, certain bool, err error) {
	d = mem.NewDisk()
	for name, b := range before {
		if err := d.WriteFile(name, b); err != nil {
			return nil, false, err
		}
	}
	r := replayer{p: d.Process("replay"), open: make(map[string]vfs.File), locks: make(map[string]vfs.Locker)}
	certain = true
	for _, c := range changes {
		err := r.do(&c)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil // it was made by one of several, and nobody has told by whom
		}
		if err != nil {
			return nil, false, fmt.Errorf("%s of %s at %d: %w", c.Kind, c.Name, c.Off, err)
		}
		if (c.Kind == kindTemp || c.Kind == kindCreate || c.Kind == kindLock) && !c.good {
			certain = false
		}
	}
	return d, certain, nil
}

type replayer struct {
	p     *mem.Process
	open  map[string]vfs.File
	locks map[string]vfs.Locker
}

func (r *replayer) file(name string) vfs.File {
	if r.open[name] == nil {
		r.open[name] = r.p.Open(name, vfs.Append)
	}
	return r.open[name]
}

func (r *replayer) lock(name string) vfs.Locker {
	if r.locks[name] == nil {
		r.locks[name] = r.p.Locker(name, r.file(strings.TrimSuffix(name, ".lock")), vfs.Append, 0o600)
	}
	return r.locks[name]
}

// do makes a change. One that failed may have been made in part, which is what
// it means that it is not on the disk.
func (r *replayer) do(c *change) error {
	switch c.Kind {
	case kindWrite:
		_, err := r.file(c.Name).Rewrite(c.Data, c.Off)
		return err
	case kindTruncate:
		return r.file(c.Name).Truncate(c.Off)
	case kindSync:
		if !c.good {
			return nil
		}
		return r.file(c.Name).Sync()
	case kindSyncDir:
		if !c.good {
			return nil
		}
		return r.p.SyncDir(c.Name)
	case kindTemp:
		return nil // it is part of its creation
	case kindCreate:
		if !c.good {
			return nil
		}
		w := r.p.Create(c.Name, vfs.FailIfExists, 0o600)
		_, _ = w.Write(c.Data) // errors come back from Commit
		return w.Commit()
	case kindLock:
		return r.lock(c.Name).Reopen()
	case kindMark:
		return r.lock(c.Name).UpdateMark(background, func(p *[vfs.MarkSize]byte, _ bool) bool {
			copy(p[:], c.Data)
			return true
		})
	}
	return errors.New("unknown change")
}

// explanations counts by which model of the memory disk files were explained.
type explanations map[string]int

// explain checks that the memory disk could have left what was found.
func (count explanations) explain(d *mem.Disk, certain bool, found files) error {
	if d == nil {
		count["not told"]++
		return nil
	}
	states := make(map[string][][]byte) // of each file: what it can be, the oldest first
	names := make(map[string]bool)
	for im := range d.Images(mem.Options{Models: mem.M1 | mem.M2 | mem.M3 | mem.M7, Samples: 1, Seen: make(map[uint64]struct{})}) {
		all := im.Names()
		for _, name := range all {
			b, err := im.ReadFile(name)
			if err != nil {
				return err
			}
			name = strings.TrimPrefix(name, "/")
			if !slices.ContainsFunc(states[name], func(s []byte) bool { return bytes.Equal(s, b) }) {
				states[name] = append(states[name], b)
			}
		}
		names[spelled(all)] = true
	}
	if certain {
		count["names"]++
		if !names[found.names()] {
			return fmt.Errorf("the names %q are none of %v", found.names(), names)
		}
	}
	for name, b := range found {
		if temporary.MatchString(name) || !certain && states[name] == nil {
			continue // of a writer that did not come to its end
		}
		newest, err := d.ReadFile(name)
		if err != nil {
			return err
		}
		oldest, err := d.Persisted(name)
		if err != nil {
			return err
		}
		f := possible{states[name], oldest, newest}
		model := f.model(b)
		if model == "" {
			return fmt.Errorf("%s: %s", name, f.complain(b))
		}
		count[model]++
	}
	return nil
}

// possible is what a file may be after a power cut.
type possible struct {
	states         [][]byte // between the changes that were not synced
	oldest, newest []byte
}

const sector = 512

// model names a model of the memory disk that makes this content, "" if none does.
func (f *possible) model(b []byte) string {
	switch {
	case bytes.Equal(b, f.oldest):
		return "M1"
	case bytes.Equal(b, f.newest):
		return "M2"
	case slices.ContainsFunc(f.states, func(s []byte) bool { return bytes.Equal(s, b) }):
		return "M3"
	case f.torn(b):
		return "M4"
	case f.sized(len(b)) && f.strange(b) < 0:
		return "M5"
	case f.grown(b) && (len(b) == len(f.newest) || f.between(len(b))):
		return "M6"
	}
	return ""
}

// torn: a prefix of the newest state that ends inside of the last write.
func (f *possible) torn(b []byte) bool {
	return len(b) < len(f.newest) && bytes.HasPrefix(f.newest, b) &&
		slices.ContainsFunc(f.states, func(s []byte) bool { return len(s) <= len(b) && bytes.HasPrefix(f.newest, s) })
}

// sized: the sizes that M5 gives.
func (f *possible) sized(size int) bool {
	least := slices.MinFunc(f.states, func(a, b []byte) int { return cmp.Compare(len(a), len(b)) })
	return size == len(f.newest) || size == len(f.oldest) && size > len(f.newest) ||
		size >= len(least) && size <= len(f.newest) && (size%sector == 0 || size == len(least))
}

// strange returns the first sector that is no version that there ever was, or -1.
func (f *possible) strange(b []byte) int {
	for from := 0; from < len(b); from += sector {
		part := b[from:min(from+sector, len(b))]
		if !slices.ContainsFunc(f.states, func(s []byte) bool { return sameSector(part, s, from) }) {
			return from / sector
		}
	}
	return -1
}

// sameSector compares bytes with those of a file, which is zeros behind its end.
func sameSector(part, file []byte, from int) bool {
	has := file[min(from, len(file)):min(from+len(part), len(file))]
	return bytes.Equal(part[:len(has)], has) && len(bytes.Trim(part[len(has):], "\x00")) == 0
}

// grown: the bytes of some state, and then anything.
func (f *possible) grown(b []byte) bool {
	return slices.ContainsFunc(f.states, func(s []byte) bool { return len(s) < len(b) && bytes.HasPrefix(b, s) })
}

// between: the size after some of the changes. ext4 takes sizes to its journal
// in steps of its own.
func (f *possible) between(size int) bool {
	return slices.ContainsFunc(f.states, func(s []byte) bool { return len(s) == size })
}

func (f *possible) complain(b []byte) string {
	var sizes []int
	for _, s := range f.states {
		sizes = append(sizes, len(s))
	}
	return fmt.Sprintf("%d bytes, sizes could be %v (old %d, new %d); sector %d is none that there was; it differs from the newest state at byte %d",
		len(b), sizes, len(f.oldest), len(f.newest), f.strange(b), differ(b, f.newest))
}
