package mem

import (
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
)

// Model is a set of ways in which a power cut may leave the disk; see the
// package comment.
type Model uint8

const (
	M1 Model = 1 << iota // everything unsynced is gone
	M2                   // everything is there
	M3                   // prefixes of what is unsynced
	M4                   // the last write is cut at a byte
	M5                   // each sector is old, new, or between
	M6                   // the file has grown, the bytes are zeros or garbage
	M7                   // any of the changes of names
)

// AllModels is M1 to M7.
const AllModels = M1 | M2 | M3 | M4 | M5 | M6 | M7

func (m Model) String() string {
	var s []string
	for i := range 7 {
		if m>>i&1 == 1 {
			s = append(s, fmt.Sprintf("M%d", i+1))
		}
	}
	return strings.Join(s, "|")
}

// Options say which images Images makes. The zero Options are sensible.
type Options struct {
	Models    Model // 0 is AllModels
	EveryByte bool  // M4 cuts at every byte; otherwise near the ends and the borders of sectors

	// Sectors is up to how many dirty sectors (M5) or changes of names (M7)
	// every combination is made; 0 is 12.
	Sectors int

	// Samples is how many images at most M3 and M5 make exhaustively, and how
	// many random ones they and M7 make where that is not enough; 0 is 4096.
	Samples int

	// Seed determines random choices and garbage.
	Seed uint64

	// Seen, if it is not nil, holds the hashes of images that are to be left
	// out, and is given those of the images that are made. It may be kept from
	// one disk to the next.
	Seen map[uint64]struct{}
}

// Image is a state in which a power cut at one moment may leave the disk. It
// does not change; it may be used by many goroutines.
type Image struct {
	Model  Model // the one that made it
	Number int   // counts the images of one call of Images, those left out included

	dir    *dirView
	files  []*version    // by number in the capture
	detail func() string // parameters of the model
}

// version is one state of one file. Its content is frozen.
type version struct {
	content
	hash atomic.Uint64 // 0: not computed yet. All who compute it store the same
}

// dirView is one state of the directory.
type dirView struct {
	names   []viewName // sorted by name
	files   []viewFile // that have a name
	lastIno uint64
}

type viewName struct {
	name string
	hash uint64 // of name and file
	file int    // index in dirView.files
}

type viewFile struct {
	number int // in the capture
	id     uint64
	perm   fs.FileMode
	links  int
}

// sum is content.sum, computed once.
func (v *version) sum() uint64 {
	if h := v.hash.Load(); h != 0 {
		return h
	}
	h := max(v.content.sum(), 1)
	v.hash.Store(h)
	return h
}

// Hash is a hash of all names and of the bytes of the files that they lead to.
// Equal images have equal hashes, within one run of the program.
func (im *Image) Hash() uint64 {
	h := uint64(len(im.dir.names))
	for _, n := range im.dir.names {
		h = mix(mix(h, n.hash), im.files[im.dir.files[n.file].number].sum())
	}
	return h
}

// FileHash is a hash of the size and the bytes of a file, 0 if there is none.
// Equal files have equal hashes, in all images and disks of one run of the
// program.
func (im *Image) FileHash(name string) uint64 {
	name = clean(name)
	for _, n := range im.dir.names {
		if n.name == name {
			return im.files[im.dir.files[n.file].number].sum()
		}
	}
	return 0
}

// String tells the model and its parameters.
func (im *Image) String() string {
	s := fmt.Sprintf("image %d, %s", im.Number, im.Model)
	if im.detail != nil {
		s += ": " + im.detail()
	}
	return s
}

// Disk returns a new disk in this state, without processes, hooks and limits.
// It shares what it does not change with the image.
func (im *Image) Disk() *Disk {
	inodes := make([]inode, len(im.dir.files))
	for i, f := range im.dir.files {
		c := im.files[f.number].content
		ino := &inodes[i]
		ino.id, ino.perm, ino.links, ino.cache, ino.disk = f.id, f.perm, f.links, c, c
	}
	names := make(directory, len(im.dir.names))
	for i, n := range im.dir.names {
		names[i] = entry{n.name, &inodes[n.file]}
	}
	d := NewDisk()
	d.names, d.disk, d.lastIno = names, names, im.dir.lastIno
	return d
}

// ReadFile returns a copy of a file in the image.
func (im *Image) ReadFile(name string) ([]byte, error) {
	name = clean(name)
	for _, n := range im.dir.names {
		if n.name == name {
			return im.files[im.dir.files[n.file].number].bytes(), nil
		}
	}
	return nil, pathError("read", name, fs.ErrNotExist)
}

// Names returns the names of the files in the image, sorted.
func (im *Image) Names() []string {
	names := make([]string, len(im.dir.names))
	for i, n := range im.dir.names {
		names[i] = n.name
	}
	return names
}

// Images yields the states in which a power cut at this moment may leave the
// disk, by the models M1 to M7 and in an order that depends on opts and the
// history of the disk alone. What happens to the disk while the images are
// made does not change them. Different models make some images more than once;
// see Options.Seen.
func (d *Disk) Images(opts Options) iter.Seq[*Image] {
	if opts.Models == 0 {
		opts.Models = AllModels
	}
	if opts.Sectors == 0 {
		opts.Sectors = 12
	}
	if opts.Samples == 0 {
		opts.Samples = 4096
	}
	return func(yield func(*Image) bool) {
		cut := &powerCut{capture: d.capture(), opts: opts, yield: yield}
		cut.run()
	}
}

// capture is what must be known of a disk to make its images.
type capture struct {
	files []*capturedFile
	disk  directory // persisted names
	log   []*change // pending changes of names
	index map[*inode]int
}

type capturedFile struct {
	name    string // one that it has or had
	ino     *inode // only id and perm, which never change, may be read
	pending []*change
	states  []*version // states[k]: the first k pending changes applied to what is on the disk
}

// first and last are the file without and with all that is pending.
func (f *capturedFile) first() *version { return f.states[0] }
func (f *capturedFile) last() *version  { return f.states[len(f.states)-1] }

// capture freezes the disk as it is.
func (d *Disk) capture() *capture {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &capture{disk: d.disk, log: slices.Clone(d.dirlog), index: map[*inode]int{}}
	add := func(set []entry) {
		for _, e := range set {
			if e.ino == nil {
				continue
			}
			if i, ok := c.index[e.ino]; ok {
				c.files[i].name = e.name
				continue
			}
			c.index[e.ino] = len(c.files)
			base := &e.ino.disk
			if d.volatile {
				base = &e.ino.cache
			}
			c.files = append(c.files, &capturedFile{
				name: e.name, ino: e.ino, pending: slices.Clone(e.ino.pending),
				states: []*version{{content: base.clone()}},
			})
		}
	}
	add(c.disk)
	for _, ch := range c.log {
		add(ch.set)
	}
	for _, f := range c.files {
		state := f.states[0].content
		for _, ch := range f.pending {
			ch.apply(&state)
			f.states = append(f.states, &version{content: state.clone()})
		}
	}
	return c
}

// Moment is a hash of all that crash images are made from: while it stays the
// same, Images makes the same ones.
func (d *Disk) Moment() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := uint64(len(d.disk))
	add := func(set []entry) {
		for _, e := range set {
			h = mix(h, maphash.String(hashSeed, e.name))
			if e.ino == nil {
				continue
			}
			h = mix(h, e.ino.id)
			if d.volatile {
				h = mix(h, e.ino.cache.sum())
				continue
			}
			h = mix(h, e.ino.disk.sum())
			for _, ch := range e.ino.pending {
				h = mix(mix(h, ch.seq), uint64(ch.kind))
			}
		}
	}
	add(d.disk)
	for _, ch := range d.dirlog {
		h = mix(h, ch.seq)
		add(ch.set)
	}
	return h
}

// view returns the directory with those changes of names that keep chooses.
func (c *capture) view(keep func(i int) bool) *dirView {
	dir := c.disk
	for i, ch := range c.log {
		if keep(i) {
			dir = dir.with(ch.set)
		}
	}
	v := &dirView{names: make([]viewName, len(dir))}
	slot := map[*inode]int{}
	ids := map[uint64]bool{}
	for i, e := range dir {
		s, ok := slot[e.ino]
		if !ok {
			s = len(v.files)
			slot[e.ino] = s
			v.files = append(v.files, viewFile{number: c.index[e.ino], id: e.ino.id, perm: e.ino.perm})
			v.lastIno = max(v.lastIno, e.ino.id)
		}
		v.files[s].links++
		v.names[i] = viewName{e.name, mix(maphash.String(hashSeed, e.name), uint64(s)), s}
	}
	for i := range v.files { // a number may have been given again while its old inode is still on the disk
		f := &v.files[i]
		if ids[f.id] {
			v.lastIno++
			f.id = v.lastIno
		}
		ids[f.id] = true
	}
	return v
}
