package mem

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/durusdb/durus/vfs"
)

// appended is a disk with a file f of "aaaa" on the disk, and "bb" and "ccc"
// appended to it and not synced.
func appended(t *testing.T) (*Disk, *Process) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", []byte("aaaa"))
	add(t, f, "bb")
	add(t, f, "ccc")
	return d, p
}

func add(tb testing.TB, f vfs.File, s string) {
	tb.Helper()
	end, err := f.Size()
	check(tb, err)
	_, err = f.Append([]byte(s), end)
	check(tb, err)
}

// show spells an image: names and bytes, zeros as '.'.
func show(t *testing.T, d *Disk) string {
	var s []string
	for _, name := range d.Names() {
		b, err := d.ReadFile(name)
		check(t, err)
		s = append(s, name+"="+string(bytes.ReplaceAll(b, []byte{0}, []byte("."))))
	}
	return strings.Join(s, " ")
}

// images spells the images of a model. All must say the same of themselves as
// their disks do.
func images(t *testing.T, d *Disk, opts Options) (all []string) {
	t.Helper()
	for im := range d.Images(opts) {
		e := im.Disk()
		if im.Number != len(all) && opts.Seen == nil {
			t.Errorf("%v is image %d", im, len(all))
		}
		if !slices.Equal(im.Names(), e.Names()) {
			t.Errorf("%v: names %v on its disk %v", im, im.Names(), e.Names())
		}
		for _, name := range im.Names() {
			a, err := im.ReadFile(name)
			check(t, err)
			b, err := e.Persisted(name)
			check(t, err)
			if !bytes.Equal(a, b) {
				t.Errorf("%v: %s is %q, on its disk %q", im, name, a, b)
			}
		}
		all = append(all, show(t, e))
		for _, name := range im.Names() { // a file grows by zeros, whatever was cut off
			a, err := im.ReadFile(name)
			check(t, err)
			check(t, e.Truncate(name, int64(len(a)+700)))
			cached(t, e, name, string(a)+strings.Repeat("\x00", 700))
		}
	}
	return all
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// F3: what can be left of two appends.
func TestModelsOfAppends(t *testing.T) {
	d, _ := appended(t)
	for m, want := range map[Model][]string{
		M1: {"/f=aaaa"},
		M2: {"/f=aaaabbccc"},
		M3: {"/f=aaaabb"},
		M4: {"/f=aaaabbc", "/f=aaaabbcc"},
		M5: {"/f=aaaa.....", "/f=aaaa", "/f=aaaabb...", "/f=aaaabbccc"},
		M7: nil,
	} {
		equal(t, m.String(), images(t, d, Options{Models: m, EveryByte: true}), want)
	}
	got := images(t, d, Options{Models: M6})
	if len(got) != 6 || got[0] != "/f=aaaa....." || got[2] != "/f=aaaa.." || got[4] != "/f=aaaabb..." {
		t.Errorf("M6: %q", got)
	}
	for i, keep := range map[int]string{1: "/f=aaaa", 5: "/f=aaaabb"} {
		if len(got[i]) != len("/f=aaaabbccc") || !strings.HasPrefix(got[i], keep) || strings.HasSuffix(got[i], "...") {
			t.Errorf("M6 with garbage: %q", got[i])
		}
	}
	distinct := images(t, d, Options{EveryByte: true, Seen: map[uint64]struct{}{}})
	if sorted := slices.Sorted(slices.Values(distinct)); len(slices.Compact(sorted)) != len(distinct) || len(distinct) != 11 {
		t.Errorf("distinct images: %q", distinct)
	}
}

// The bytes of two files, and a mark in place, persist independently.
func TestModelsOfTwoFiles(t *testing.T) {
	d, p := appended(t)
	l := create(t, p, "/l", []byte("1"))
	_, err := l.Rewrite([]byte("2"), 0)
	check(t, err)
	_, err = l.Rewrite([]byte("3"), 0)
	check(t, err)
	want := []string{ // 3 x 3 prefixes less none and all
		"/f=aaaabb /l=1", "/f=aaaabbccc /l=1",
		"/f=aaaa /l=2", "/f=aaaabb /l=2", "/f=aaaabbccc /l=2",
		"/f=aaaa /l=3", "/f=aaaabb /l=3",
	}
	equal(t, "M3", images(t, d, Options{Models: M3}), want)
	equal(t, "M4", images(t, d, Options{Models: M4, EveryByte: true}),
		[]string{"/f=aaaabbc /l=3", "/f=aaaabbcc /l=3", "/f=aaaabbc /l=1", "/f=aaaabbcc /l=1"})
	if n := len(images(t, d, Options{Models: M5})); n != 3*4 { // 3 marks, each with what M5 makes of f alone
		t.Errorf("M5 makes %d images", n)
	}
	// Where the combinations are too many: the common order, then each alone.
	common := images(t, d, Options{Models: M3, Samples: 5})
	equal(t, "M3, few", common[:3], []string{"/f=aaaabb /l=1", "/f=aaaabbccc /l=1", "/f=aaaabbccc /l=2"})
	if len(common) != 3+2*(3+3+1) {
		t.Errorf("M3, few, makes %d images", len(common))
	}
}

// M5 with several sectors, one of them with a version between.
func TestModelOfSectors(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", bytes.Repeat([]byte("o"), 3*sectorSize))
	_, err := f.Rewrite([]byte("x"), sectorSize-1)
	check(t, err)
	_, err = f.Rewrite([]byte("yy"), sectorSize-1)
	check(t, err)
	got := map[string]bool{}
	for im := range d.Images(Options{Models: M5}) {
		b, err := im.ReadFile("/f")
		check(t, err)
		if len(b) != 3*sectorSize || strings.Trim(string(b[:sectorSize-1])+string(b[sectorSize+1:]), "o") != "" {
			t.Errorf("%v changes bytes that nobody wrote", im)
		}
		got[string(b[sectorSize-1:sectorSize+1])] = true
	}
	want := []string{"oo", "oy", "xo", "xy", "yo", "yy"}
	for _, w := range want {
		if !got[w] {
			t.Errorf("%q is missing", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	// Beyond the limits: every choice of old and new and random ones between, then random ones only.
	if n := len(images(t, d, Options{Models: M5, Samples: 5})); n != 4+5 {
		t.Errorf("%d images of 2 sectors with 5 samples", n)
	}
	if n := len(images(t, d, Options{Models: M5, Sectors: 1, Samples: 5})); n != 5 {
		t.Errorf("%d images beyond the number of sectors", n)
	}
	a, b := images(t, d, Options{Models: M5, Sectors: 1, Seed: 7}), images(t, d, Options{Models: M5, Sectors: 1, Seed: 7})
	equal(t, "the same seed", a, b)
}

// A truncation can come late: the old bytes are there, or the old size with
// zeros in it.
func TestModelsOfTruncation(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", []byte("aaaa"))
	check(t, f.Truncate(2))
	add(t, f, "b")
	equal(t, "M3", images(t, d, Options{Models: M3}), []string{"/f=aa"})
	equal(t, "M5", images(t, d, Options{Models: M5}),
		[]string{"/f=aaa", "/f=aa", "/f=aaaa", "/f=aa.", "/f=aa..", "/f=aab", "/f=aab."})
}

// M4 cuts at borders of sectors of the disk, not of the write.
func TestCutsNearSectors(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	f := create(t, p, "/f", bytes.Repeat([]byte("o"), 500))
	w := bytes.Repeat([]byte("n"), 1000)
	_, err := f.Append(w, 500)
	check(t, err)
	var cuts []string
	for im := range d.Images(Options{Models: M4}) {
		b, err := im.ReadFile("/f")
		check(t, err)
		cuts = append(cuts, fmt.Sprint(len(b)-500))
		if string(b) != strings.Repeat("o", 500)+string(w[:len(b)-500]) {
			t.Errorf("%v has other bytes", im)
		}
	}
	equal(t, "cuts", cuts, []string{"1", "11", "12", "13", "523", "524", "525", "999"})
	if n := len(images(t, d, Options{Models: M4, EveryByte: true})); n != 999 {
		t.Errorf("%d cuts at every byte", n)
	}
}

// F17: a rename is there or not, whole, whatever else is.
func TestModelOfNames(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	create(t, p, "/db", []byte("old"))
	w := p.Create("/db", vfs.ReplaceIfExists, 0o600)
	_, err := w.Write([]byte("new"))
	check(t, err)
	check(t, w.Commit())
	temp := "/db.new.0000000000000002"
	equal(t, "M1", images(t, d, Options{Models: M1}), []string{"/db=old"})
	equal(t, "M2", images(t, d, Options{Models: M2}), []string{"/db=new"})
	equal(t, "M7", images(t, d, Options{Models: M7}), []string{"/db=old " + temp + "=new", "/db=new"})

	add(t, p.Open("/db", vfs.Append), "er")
	equal(t, "M7 with bytes", images(t, d, Options{Models: M7}), []string{
		"/db=old",                                                // none of the names, all of the bytes
		"/db=old " + temp + "=new", "/db=old " + temp + "=newer", // the creation alone
		"/db=new", "/db=newer", // the renaming alone
		"/db=new", // both, without the bytes
	})
	check(t, p.SyncDir("/db"))
	equal(t, "M7 after SyncDir", images(t, d, Options{Models: M7}), nil)
	equal(t, "M1 after SyncDir", images(t, d, Options{Models: M1}), []string{"/db=new"})
}

// A removed name may come back, and a file whose name was never synced is not there.
func TestNamesAreLostUntilSyncDir(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	create(t, p, "/a/old", []byte("1"))
	check(t, p.Remove("/a/old"))
	w := p.Create("/b/new", vfs.FailIfExists, 0o600)
	check(t, w.Commit())
	equal(t, "M1", images(t, d, Options{Models: M1}), []string{"/a/old=1"})
	check(t, p.SyncDir("/b/anything"))
	equal(t, "M1", images(t, d, Options{Models: M1}), []string{"/a/old=1 /b/new="})
	check(t, p.SyncDir("/a/anything"))
	equal(t, "M1", images(t, d, Options{Models: M1}), []string{"/b/new="})
}

// M10: an image is a disk that can lose power again; the first one is not changed by it.
func TestCrashOfAnImage(t *testing.T) {
	d, _ := appended(t)
	n := 0
	for im := range d.Images(Options{Models: M4, EveryByte: true}) {
		before := im.Hash()
		e := im.Disk()
		f := e.Process("q").Open("/f", vfs.Append)
		check(t, f.Truncate(6))
		add(t, f, "dd")
		b, err := im.ReadFile("/f")
		check(t, err)
		equal(t, "M1", images(t, e, Options{Models: M1}), []string{"/f=" + string(b)})
		equal(t, "M3", images(t, e, Options{Models: M3}), []string{"/f=aaaabb"})
		check(t, f.Sync())
		equal(t, "M1 after sync", images(t, e, Options{Models: M1}), []string{"/f=aaaabbdd"})
		again := im.Disk()
		if h := hashOf(again); h != before {
			t.Errorf("%v changed", im)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d images", n)
	}
	if got := show(t, d); got != "/f=aaaabbccc" {
		t.Errorf("the disk itself changed: %s", got)
	}
}

func hashOf(d *Disk) (h uint64) {
	for im := range d.Images(Options{Models: M1}) {
		h = im.Hash()
	}
	return h
}

// Hash depends on names and bytes, not on how they came to be.
func TestHash(t *testing.T) {
	a, b := NewDisk(), NewDisk()
	check(t, a.WriteFile("/x", make([]byte, 1000)))
	check(t, b.WriteFile("/x", []byte("abc")))
	check(t, b.Truncate("/x", 0))
	check(t, b.Truncate("/x", 1000))
	if hashOf(a) != hashOf(b) {
		t.Error("a hole and zeros differ")
	}
	check(t, b.Truncate("/x", 1001))
	if hashOf(a) == hashOf(b) {
		t.Error("two sizes agree")
	}
	check(t, b.Truncate("/x", 1000))
	check(t, b.Rename("/x", "/y"))
	if hashOf(a) == hashOf(b) {
		t.Error("two names agree")
	}
	check(t, a.WriteFile("/y", nil))
	check(t, b.Link("/y", "/x"))
	check(t, a.Copy("/x", "/y"))
	if hashOf(a) == hashOf(b) {
		t.Error("two names of one file, and two files, agree")
	}
}

// FileHash tells files apart by their bytes, in images and on disks alike.
func TestFileHash(t *testing.T) {
	d, p := appended(t)
	hashes := map[string]uint64{}
	for im := range d.Images(Options{EveryByte: true, Models: M1 | M2 | M4 | M6}) {
		b, err := im.ReadFile("f")
		check(t, err)
		h := im.FileHash("f")
		if old, ok := hashes[string(b)]; ok && old != h || h == 0 || im.FileHash("/none") != 0 {
			t.Errorf("%v: %q has the hash %x, before %x", im, b, h, old)
		}
		hashes[string(b)] = h
		if got := im.Disk().FileHash("/f"); got != h {
			t.Errorf("%v: its disk says %x, want %x", im, got, h)
		}
	}
	distinct := map[uint64]bool{}
	for _, h := range hashes {
		distinct[h] = true
	}
	if len(distinct) != len(hashes) || len(hashes) < 6 {
		t.Errorf("%d hashes of %d contents", len(distinct), len(hashes))
	}
	before := d.FileHash("/f")
	if before != hashes["aaaabbccc"] || d.FileHash("/none") != 0 {
		t.Errorf("what is cached has the hash %x", before)
	}
	f := p.Open("/f", vfs.Append)
	_, err := f.Rewrite([]byte("x"), 0) // in place, in a sector that was hashed
	check(t, err)
	changed := d.FileHash("/f")
	_, err = f.Rewrite([]byte("a"), 0)
	check(t, err)
	if changed == before || d.FileHash("/f") != before {
		t.Errorf("hash %x, changed %x, as before %x", before, changed, d.FileHash("/f"))
	}
}

// Moment changes when the images do, and not otherwise.
func TestMoment(t *testing.T) {
	d, p := appended(t)
	f := p.Open("/f", vfs.Append)
	last := d.Moment()
	for _, step := range []struct {
		name    string
		changes bool
		do      func() error
	}{
		{"nothing", false, func() error { return nil }},
		{"a read", false, func() error { _, err := f.ReadAt(make([]byte, 3), 0); return err }},
		{"an append", true, func() error { _, err := f.Append([]byte("d"), 9); return err }},
		{"a failed write-back", true, func() error { return d.FailWriteback("/f", func(i int, _ int64, _ int) bool { return i == 0 }, nil) }},
		{"an eviction", false, func() error { return d.Evict("/f", 0, -1) }},
		{"a failing sync that writes the rest", true, func() error { _ = f.Sync(); return nil }},
		{"a sync of nothing", false, f.Sync},
		{"a link", true, func() error { return p.Link("/f", "/g") }},
		{"its sync", true, func() error { return p.SyncDir("/g") }},
		{"a hand from outside", true, func() error { return d.Patch("/f", 0, []byte("z")) }},
	} {
		check(t, step.do())
		now := d.Moment()
		if changed := now != last; changed != step.changes {
			t.Errorf("after %s: changed %v", step.name, changed)
		}
		last = now
	}
}

// Images hold on to the state at which they were asked for, also while the
// disk goes on, and can be abandoned.
func TestImagesAreFrozen(t *testing.T) {
	d, p := appended(t)
	f := p.Open("/f", vfs.Append)
	first := true
	var got []string
	for im := range d.Images(Options{Models: M1 | M2 | M3}) {
		if first {
			check(t, f.Truncate(0))
			check(t, f.Sync())
			first = false
		}
		got = append(got, show(t, im.Disk()))
	}
	equal(t, "images", got, []string{"/f=aaaa", "/f=aaaabbccc", "/f=aaaabb"})
	add(t, f, "xyz")
	for range d.Images(Options{}) {
		break
	}
}

// Inode numbers that were given twice meanwhile are told apart.
func TestImageInodes(t *testing.T) {
	d := NewDisk()
	p := d.Process("p")
	check(t, d.WriteFile("/a", nil))
	check(t, p.Remove("/a"))
	check(t, p.Create("/b", vfs.FailIfExists, 0o640).Commit())
	for im := range d.Images(Options{Models: M7}) {
		if len(im.Names()) < 2 {
			continue
		}
		q := im.Disk().Process("q")
		seen := map[vfs.FileID]bool{}
		for _, name := range im.Names() {
			info, err := q.Stat(name)
			check(t, err)
			if seen[info.ID] || info.Links != 1 {
				t.Errorf("%v: %s is %v", im, name, info)
			}
			seen[info.ID] = true
		}
	}
}

// A caller may stop after any image, of any model.
func TestImagesMayBeAbandoned(t *testing.T) {
	d, p := appended(t)
	check(t, p.Create("/g", vfs.FailIfExists, 0o600).Commit())
	add(t, p.Open("/g", vfs.Append), "gg")
	for _, opts := range []Options{{}, {Samples: 3, Sectors: 1}} {
		for n := 0; ; n++ {
			got := 0
			for im := range d.Images(opts) {
				if got++; im.Number == n {
					break
				}
			}
			if got <= n {
				if n < 20 {
					t.Errorf("only %d images", n)
				}
				break
			}
		}
	}
}

// An image says how it was made.
func TestImageString(t *testing.T) {
	d, p := appended(t)
	check(t, p.Link("/f", "/g"))
	first := map[Model]string{}
	for im := range d.Images(Options{EveryByte: true}) {
		if first[im.Model] == "" {
			first[im.Model] = im.String()
		}
	}
	for m, want := range map[Model]string{
		M1: "image 0, M1",
		M2: "image 1, M2",
		M3: "image 2, M3: /g 1/2, names 0/1",
		M4: "image 6, M4: /g: 1 of 3 bytes at 6, other files new",
		M5: "image 8, M5: /g#0=0/2, size new",
		M6: "image 12, M6: /g: 0 of 2 changes, garbage false from 4 to 9",
		M7: "image 30, M7: changes of names [0], files new",
	} {
		if first[m] != want {
			t.Errorf("got %q, want %q", first[m], want)
		}
	}
	if s := AllModels.String(); s != "M1|M2|M3|M4|M5|M6|M7" {
		t.Error(s)
	}
}
