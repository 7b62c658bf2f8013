package mem

import (
	"fmt"
	"slices"
	"strings"
)

// dirtySector is a sector that pending changes have given other bytes.
type dirtySector struct {
	file     int
	index    int
	versions []*sector // oldest first, at least two
}

// dirtySectors finds those of a file, with all versions that each has had.
func (f *capturedFile) dirtySectors(number int) (dirty []dirtySector) {
	n := 0
	for _, v := range f.states {
		n = max(n, len(v.tab))
	}
	for i := range n {
		versions := []*sector{f.first().at(i)}
		for _, v := range f.states[1:] {
			was := versions[len(versions)-1]
			if s := v.at(i); s != was && s.b != was.b {
				versions = append(versions, s)
			}
		}
		if len(versions) > 1 {
			dirty = append(dirty, dirtySector{number, i, versions})
		}
	}
	return dirty
}

// sectors is M5. Each dirty sector of each file has one of the versions that
// it has had; the sizes of the files are those of extent.
//
// Up to Options.Sectors sectors, every choice of old and new is made, and all
// versions between if that is not too much, otherwise random choices of them.
func (c *powerCut) sectors(dir *dirView) {
	var dirty []dirtySector
	numbers := c.dirty(dir)
	for _, i := range numbers {
		dirty = append(dirty, c.files[i].dirtySectors(i)...)
	}
	if len(dirty) == 0 {
		return
	}
	counts := make([]int, len(dirty))
	total, between := 1, false
	for i, s := range dirty {
		counts[i] = len(s.versions)
		between = between || counts[i] > 2
		if total <= c.opts.Samples {
			total *= counts[i]
		}
	}
	files := c.states(true)
	emit := func(at []int) bool { return c.emitSectors(dir, numbers, files, dirty, at) }
	few := len(dirty) <= c.opts.Sectors
	if few && between && total > c.opts.Samples {
		oldNew := make([]int, len(dirty))
		for i := range oldNew {
			oldNew[i] = 2
		}
		scaled := make([]int, len(dirty))
		c.combinations(oldNew, true, func(at []int) bool {
			for i, v := range at {
				scaled[i] = v * (counts[i] - 1)
			}
			return emit(scaled)
		})
		few = false
	}
	c.combinations(counts, few, emit)
}

// emitSectors makes the images of one choice of versions, one for each extent.
func (c *powerCut) emitSectors(dir *dirView, numbers []int, files []*version, dirty []dirtySector, at []int) bool {
	what := slices.Clone(at)
	sizes := make([]int64, 0, 8)
	for e := range extents {
		k := len(sizes)
		for _, i := range numbers {
			sizes = append(sizes, c.files[i].extent(e, i, dirty, at))
		}
		n := len(numbers)
		same := false // as an extent before
		for j := 0; j < k; j += n {
			same = same || slices.Equal(sizes[j:j+n], sizes[k:])
		}
		if same {
			continue
		}
		for j, i := range numbers {
			files[i] = c.files[i].mixed(sizes[k+j], i, dirty, at)
		}
		detail := func() string { return c.describeSectors(dirty, what, e) }
		if !c.emit(M5, dir, files, detail) {
			return false
		}
	}
	return true
}

// The extents: which size a file has when not all of its sectors are new.
const (
	extentNew  = iota // its newest size: what is not there are zeros
	extentKept        // where its last new sector ends, as if it had grown no further
	extentOld         // its size on the disk, if that is greater: it was not cut yet
	extents
)

// extent returns the size of file number i for a choice of versions.
func (f *capturedFile) extent(e, number int, dirty []dirtySector, at []int) int64 {
	size := f.last().size
	switch e {
	case extentKept:
		least := size
		for _, v := range f.states {
			least = min(least, v.size)
		}
		end := int64(0)
		for i, s := range dirty {
			if s.file == number && at[i] > 0 {
				end = int64(s.index+1) * sectorSize
			}
		}
		return max(least, min(size, end))
	case extentOld:
		return max(size, f.first().size)
	}
	return size
}

// mixed returns the file with a size and a choice of versions. Sectors that are
// not dirty are the same in all states.
func (f *capturedFile) mixed(size int64, number int, dirty []dirtySector, at []int) *version {
	v := &version{}
	v.size = size
	v.tab = make([]*sector, sectors(size))
	copy(v.tab, f.last().tab)
	for i, s := range dirty {
		if s.file == number && s.index < len(v.tab) {
			v.tab[s.index] = s.versions[at[i]]
		}
	}
	if used := size % sectorSize; used != 0 { // a version of the last sector may reach beyond the size
		i := len(v.tab) - 1
		if s := v.at(i); !blank(s.b[used:]) {
			cut := new(sector)
			copy(cut.b[:used], s.b[:])
			v.tab[i] = cut
		}
	}
	v.freeze()
	return v
}

func (c *powerCut) describeSectors(dirty []dirtySector, at []int, extent int) string {
	var s []string
	for i, d := range dirty {
		s = append(s, fmt.Sprintf("%s#%d=%d/%d", c.files[d.file].name, d.index, at[i], len(d.versions)-1))
	}
	return strings.Join(s, " ") + ", size " + [extents]string{"new", "of what was kept", "old"}[extent]
}
