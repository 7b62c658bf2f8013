package mem

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// powerCut makes the images of a captured disk.
type powerCut struct {
	*capture
	opts   Options
	yield  func(*Image) bool
	number int
	over   bool // the caller wants no more
}

// emit gives an image to the caller, unless it has it already. files is not
// kept. It returns false when the caller wants no more.
func (c *powerCut) emit(m Model, dir *dirView, files []*version, detail func() string) bool {
	if c.over {
		return false
	}
	im := &Image{Model: m, Number: c.number, dir: dir, files: slices.Clone(files), detail: detail}
	c.number++
	if seen := c.opts.Seen; seen != nil {
		h := im.Hash()
		if _, ok := seen[h]; ok {
			return true
		}
		seen[h] = struct{}{}
	}
	c.over = !c.yield(im)
	return !c.over
}

// run makes the images of all models that are wanted.
func (c *powerCut) run() {
	none := c.view(func(int) bool { return false })
	all := c.view(func(int) bool { return true })
	want := func(m Model) bool { return c.opts.Models&m != 0 && !c.over }
	if want(M1) {
		c.emit(M1, none, c.states(false), nil)
	}
	if want(M2) {
		c.emit(M2, all, c.states(true), nil)
	}
	if want(M3) {
		c.prefixes()
	}
	views := []*dirView{all}
	if len(c.log) > 0 {
		views = append(views, none)
	}
	for _, dir := range views {
		if want(M4) {
			c.tornWrites(dir)
		}
		if want(M5) {
			c.sectors(dir)
		}
		if want(M6) {
			c.grown(dir)
		}
	}
	if want(M7) {
		c.nameChanges(none, all)
	}
}

// states returns each file without or with all that is pending.
func (c *powerCut) states(last bool) []*version {
	files := make([]*version, len(c.files))
	for i, f := range c.files {
		if files[i] = f.first(); last {
			files[i] = f.last()
		}
	}
	return files
}

// dirty returns the numbers of the files of dir that have pending changes.
func (c *powerCut) dirty(dir *dirView) (numbers []int) {
	for _, f := range dir.files {
		if len(c.files[f.number].pending) > 0 {
			numbers = append(numbers, f.number)
		}
	}
	return numbers
}

// prefixes is M3. Every file, and the directory, is at some prefix of its own
// pending changes: all combinations if they are few enough, otherwise every
// prefix of the common order, and every prefix of each with none and with all
// of the others.
func (c *powerCut) prefixes() {
	counts := make([]int, len(c.files)+1) // how many prefixes; the directory comes last
	total := 1
	for i, f := range c.files {
		counts[i] = len(f.states)
	}
	counts[len(c.files)] = len(c.log) + 1
	for _, n := range counts {
		if total <= c.opts.Samples {
			total *= n
		}
	}
	views := make([]*dirView, len(c.log)+1)
	for k := range views {
		views[k] = c.view(func(i int) bool { return i < k })
	}
	emit := func(at []int) bool {
		files := make([]*version, len(c.files))
		for i, f := range c.files {
			files[i] = f.states[at[i]]
		}
		at = slices.Clone(at)
		return c.emit(M3, views[at[len(c.files)]], files, func() string { return c.describePrefix(at) })
	}
	if total <= c.opts.Samples {
		full := make([]int, len(counts))
		for i, n := range counts {
			full[i] = n - 1
		}
		for at := range odometer(counts) {
			// all at nothing is M1, all at their ends is M2
			if slices.Max(at) > 0 && !slices.Equal(at, full) && !emit(at) {
				return
			}
		}
		return
	}
	if !c.commonPrefixes(counts, emit) {
		return
	}
	for i := range counts {
		for _, last := range []bool{false, true} {
			at := make([]int, len(counts))
			for j, n := range counts {
				if last {
					at[j] = n - 1
				}
			}
			for at[i] = 0; at[i] < counts[i]; at[i]++ {
				if !emit(at) {
					return
				}
			}
		}
	}
}

// commonPrefixes makes every proper prefix of all pending changes in the order
// in which they happened.
func (c *powerCut) commonPrefixes(counts []int, emit func(at []int) bool) bool {
	type step struct {
		seq  uint64
		what int
	}
	var steps []step
	for i, f := range c.files {
		for _, ch := range f.pending {
			steps = append(steps, step{ch.seq, i})
		}
	}
	for _, ch := range c.log {
		steps = append(steps, step{ch.seq, len(c.files)})
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.seq, b.seq) })
	at := make([]int, len(counts))
	for _, s := range steps[:max(0, len(steps)-1)] {
		at[s.what]++
		if !emit(at) {
			return false
		}
	}
	return true
}

func (c *powerCut) describePrefix(at []int) string {
	var s []string
	for i, f := range c.files {
		if len(f.pending) > 0 {
			s = append(s, fmt.Sprintf("%s %d/%d", f.name, at[i], len(f.pending)))
		}
	}
	if len(c.log) > 0 {
		s = append(s, fmt.Sprintf("names %d/%d", at[len(c.files)], len(c.log)))
	}
	return strings.Join(s, ", ")
}

// tornWrites is M4. The last write of each file is cut, after all changes of
// that file before it; the other files have all of their changes, or none.
func (c *powerCut) tornWrites(dir *dirView) {
	dirty := c.dirty(dir)
	for _, last := range []bool{true, false} {
		if !last && len(dirty) < 2 {
			return
		}
		for _, i := range dirty {
			f := c.files[i]
			k := len(f.pending) - 1
			for k >= 0 && f.pending[k].kind != changeWrite {
				k--
			}
			if k < 0 {
				continue
			}
			files := c.states(last)
			for n := range c.cuts(f.pending[k]) {
				files[i] = f.torn(k, n)
				ok := c.emit(M4, dir, files, func() string {
					w := f.pending[k]
					return fmt.Sprintf("%s: %d of %d bytes at %d, other files %s", f.name, n, len(w.data), w.off, newOrOld(last))
				})
				if !ok {
					return
				}
			}
		}
	}
}

func newOrOld(last bool) string {
	if last {
		return "new"
	}
	return "old"
}

// cuts yields after how many bytes a write is cut: never 0 or all.
func (c *powerCut) cuts(ch *change) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for n := 1; n < len(ch.data); n++ {
			near := (ch.off+int64(n)+1)%sectorSize <= 2
			if (c.opts.EveryByte || near || n == 1 || n == len(ch.data)-1) && !yield(n) {
				return
			}
		}
	}
}

// torn returns the file with the first k changes and n bytes of the next one,
// a write. It takes whole sectors from the state after the write: before the
// cut the two agree.
func (f *capturedFile) torn(k, n int) *version {
	base, full := &f.states[k].content, &f.states[k+1].content
	from := f.pending[k].off
	end := from + int64(n)
	v := &version{}
	v.size = max(base.size, end)
	v.tab = make([]*sector, sectors(v.size))
	copy(v.tab, base.tab)
	whole := int(end / sectorSize)
	for i := int(from / sectorSize); i < whole; i++ {
		v.tab[i] = full.tab[i]
	}
	if end%sectorSize != 0 {
		s := &sector{b: base.at(whole).b}
		copy(s.b[:end%sectorSize], full.at(whole).b[:])
		v.tab[whole] = s
	}
	v.freeze()
	return v
}

// grown is M6. Of the bytes of a file only those of a prefix of its changes are
// there, its size is that after some later one, and between the two are zeros, or
// garbage. (ext4 leaves sizes that are not the newest, too.) The other files have
// all of their changes.
func (c *powerCut) grown(dir *dirView) {
	for _, i := range c.dirty(dir) {
		f := c.files[i]
		for k := range f.pending {
			was := f.states[k].size
			for _, size := range laterSizes(f.states[k+1:], was) {
				for _, garbage := range []bool{false, true} {
					v := &version{content: f.states[k].content}
					v.resize(size)
					if garbage {
						v.writeAt(garbageBytes(c.opts.Seed, i, k, int(size-was)), was)
					}
					v.freeze()
					files := c.states(true)
					files[i] = v
					ok := c.emit(M6, dir, files, func() string {
						return fmt.Sprintf("%s: %d of %d changes, garbage %v from %d to %d", f.name, k, len(f.pending), garbage, was, size)
					})
					if !ok {
						return
					}
				}
			}
		}
	}
}

// laterSizes returns the different sizes among states that are greater than
// was, the newest first.
func laterSizes(states []*version, was int64) (sizes []int64) {
	for _, v := range slices.Backward(states) {
		if v.size > was && !slices.Contains(sizes, v.size) {
			sizes = append(sizes, v.size)
		}
	}
	return sizes
}

// garbageBytes returns n random bytes for change k of file number i.
func garbageBytes(seed uint64, i, k, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(i))
	binary.LittleEndian.PutUint64(key[16:], uint64(k))
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// nameChanges is M7. Any of the pending changes of names are there, each whole
// or not, with all of the files' changes or none of them.
func (c *powerCut) nameChanges(none, all *dirView) {
	n := len(c.log)
	if n == 0 {
		return
	}
	pending := slices.ContainsFunc(c.files, func(f *capturedFile) bool { return len(f.pending) > 0 })
	emit := func(keep []int) bool {
		kept := 0
		for _, k := range keep {
			kept += k
		}
		dir := c.view(func(i int) bool { return keep[i] == 1 })
		what := slices.Clone(keep)
		for _, last := range []bool{false, true} {
			if kept == 0 && !last || kept == n && last { // M1, M2
				continue
			}
			if !pending && (last || kept == n) { // the same again
				continue
			}
			ok := c.emit(M7, dir, c.states(last), func() string {
				return fmt.Sprintf("changes of names %v, files %s", what, newOrOld(last))
			})
			if !ok {
				return false
			}
		}
		return true
	}
	counts := make([]int, n)
	for i := range counts {
		counts[i] = 2
	}
	c.combinations(counts, n <= c.opts.Sectors, emit)
}

// combinations calls emit with every combination of numbers below counts, or
// with so many random ones as Options say. The slice is used again.
func (c *powerCut) combinations(counts []int, every bool, emit func(at []int) bool) {
	if every {
		for at := range odometer(counts) {
			if !emit(at) {
				return
			}
		}
		return
	}
	rnd := rand.New(rand.NewPCG(c.opts.Seed, uint64(len(counts))))
	at := make([]int, len(counts))
	for range c.opts.Samples {
		for i, n := range counts {
			at[i] = rnd.IntN(n)
		}
		if !emit(at) {
			return
		}
	}
}

// odometer yields every combination of numbers at[i] < counts[i], all zeros
// first. The slice is used again.
func odometer(counts []int) func(yield func(at []int) bool) {
	return func(yield func([]int) bool) {
		at := make([]int, len(counts))
		for {
			if !yield(at) {
				return
			}
			i := 0
			for i < len(at) {
				if at[i]++; at[i] < counts[i] {
					break
				}
				at[i] = 0
				i++
			}
			if i == len(at) {
				return
			}
		}
	}
}
