package vfstest

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/durusdb/durus/vfs"
)

// nameRules are about names and directories.
var nameRules = []rule{
	{"ListShowsNamesInOrder", listInOrder},
	{"ListStopsWhenToldTo", listStops},
	{"ListLeavesDirectoriesOut", listLeavesDirectoriesOut},
	{"ListBesideCreators", listBesideCreators},
	{"RemoveRemovesANameOnce", removeOnce},
	{"RenameReplaces", renameReplaces},
	{"SyncDirOfWhatIsThere", syncDirWorks},
	{"ResolveIsStable", resolveIsStable},
	{"PropsAreStable", propsAreStable},
	{"MissingNames", missingNames},
}

func listInOrder(s *subject) {
	bases := []string{"b", "a", "ab.x", "abc", "ab", "é", "Z", "ab-1", "a.b"}
	for _, base := range bases {
		s.create(base, []byte(base))
	}
	slices.Sort(bases)
	for _, prefix := range []string{"", "a", "ab", "ab.", "abc", "abcd", "z", "é"} {
		var want []string
		for _, base := range bases {
			if strings.HasPrefix(base, prefix) {
				want = append(want, s.name(base))
			}
		}
		for _, fsys := range []vfs.FS{s.fs, s.other} {
			got, err := list(fsys, s.name(prefix))
			s.check(err)
			if s.props.ReliableListing && !slices.Equal(got, want) {
				s.Errorf("List(%q) = %q, want %q", prefix, got, want)
			}
			if !slices.IsSorted(got) {
				s.Errorf("List(%q) is not in order: %q", prefix, got)
			}
			for _, name := range got {
				if !slices.Contains(want, name) {
					s.Errorf("List(%q) shows %q", prefix, name)
				}
			}
		}
	}
	names, err := list(s.fs, s.Dir+"/")
	s.check(err)
	for _, name := range names { // what is listed can be opened under that name
		if got, err := readName(s.other, name); err != nil || s.name(string(got)) != name {
			s.Errorf("List shows %s, which holds %q, %v", name, got, err)
		}
	}
	empty, err := list(s.fs, s.name("missing/directory/x"))
	if err != nil || len(empty) > 0 {
		s.Errorf("List in a missing directory: %q, %v; want nothing", empty, err)
	}
}

// A caller may stop at any name, and start again.
func listStops(s *subject) {
	for i := range 5 {
		s.create(fmt.Sprintf("x%d", i), nil)
	}
	s.need(s.props.ReliableListing, "List may leave files out (Props.ReliableListing)")
	names := s.fs.List(s.name("x"))
	for stop := range 6 {
		var got []string
		for name, err := range names {
			s.check(err)
			if len(got) == stop {
				break
			}
			got = append(got, name)
		}
		if len(got) != min(stop, 5) {
			s.Errorf("stopped after %d names: %q", stop, got)
		}
	}
}

func listLeavesDirectoriesOut(s *subject) {
	if err := put(s.fs, s.name("sub/x"), vfs.FailIfExists, []byte("deep")); err != nil {
		s.is("Commit in a directory", err, fs.ErrNotExist)
		s.Skip(`directories have to be made, and "sub" was not`)
	}
	s.create("suburb", nil)
	s.remain("suburb")
	s.need(s.props.ReliableListing, "List may leave files out (Props.ReliableListing)")
	for prefix, want := range map[string][]string{
		"su": {"suburb"}, "sub": {"suburb"}, "sub/": {"sub/x"}, "sub/x": {"sub/x"}, "sub/xx": nil, "sub/x/": nil,
	} {
		got, err := list(s.fs, s.name(prefix))
		for i, base := range want {
			want[i] = s.name(base)
		}
		if prefix == "sub/x/" && err != nil {
			continue // a file is no directory: an error is right, too
		}
		if err != nil || !slices.Equal(got, want) {
			s.Errorf("List(%q) = %q, %v; want %q", prefix, got, err, want)
		}
	}
}

// A List that runs beside creators and removers shows what was there all the
// time, and never an unfinished file.
func listBesideCreators(s *subject) {
	s.need(s.props.ReliableListing, "List may leave files out (Props.ReliableListing)")
	s.create("a", nil)
	s.create("z", nil)
	var done atomic.Bool
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			base := fmt.Sprintf("m%d", i)
			for !done.Load() {
				err := put(s.view(i), s.name(base), vfs.FailIfExists, pattern(1, 500))
				if err == nil {
					err = s.view(i).Remove(s.name(base))
				}
				if err != nil {
					s.Errorf("creator: %v", err)
					return
				}
			}
		})
	}
	for range 200 {
		got, err := list(s.fs, s.Dir+"/")
		rest := slices.DeleteFunc(got, func(name string) bool { return name == s.name("m0") || name == s.name("m1") })
		if err != nil || !slices.Equal(rest, []string{s.name("a"), s.name("z")}) {
			s.Errorf("List shows %q, %v", rest, err)
			break
		}
	}
	done.Store(true)
	wg.Wait()
	s.remain("a", "z")
}

func removeOnce(s *subject) {
	s.create("x", []byte("one"))
	s.create("y", []byte("stays"))
	s.check(s.fs.Remove(s.name("x")))
	s.isGone("x")
	for _, fsys := range []vfs.FS{s.fs, s.other} {
		err := fsys.Remove(s.name("x"))
		s.is("the second Remove", err, fs.ErrNotExist)
		s.names("Remove", err, "x")
	}
	s.remain("y")
	s.create("x", []byte("two")) // the name is free
	s.leadsTo("x", []byte("two"))
	s.leadsTo("y", []byte("stays"))
}

// A file takes the name of another one, whose handles keep its bytes.
func renameReplaces(s *subject) {
	s.need(s.props.AtomicReplace, "names cannot be replaced (Props.AtomicReplace)")
	s.create("x", []byte("old"))
	s.create("new", []byte("new"))
	f := s.open(s.other, "x", vfs.ReadOnly)
	was, err := f.Stat()
	s.check(err)
	s.check(s.fs.Rename(s.name("new"), s.name("x")))
	s.isGone("new")
	s.leadsTo("x", []byte("new"))
	var b [3]byte
	if n, err := f.ReadAt(b[:], 0); n != 3 || string(b[:]) != "old" {
		s.Errorf("a handle of the replaced file reads %q, %v", b[:n], err)
	}
	now, err := f.Stat()
	s.check(err)
	there, err := s.other.Stat(s.name("x"))
	s.check(err)
	if now.ID != was.ID || there.ID == was.ID || now.Links != 0 {
		s.Errorf("the replaced file is %+v and was %+v, its name leads to %+v", now, was, there)
	}
	s.check(s.fs.Rename(s.name("x"), s.name("y"))) // a name that is free
	s.isGone("x")
	s.leadsTo("y", []byte("new"))
	s.is("Rename of a missing file", s.fs.Rename(s.name("x"), s.name("y")), fs.ErrNotExist)
	s.leadsTo("y", []byte("new"))
	s.remain("y")
}

func syncDirWorks(s *subject) {
	s.check(s.fs.SyncDir(s.name("x"))) // the name need not be there
	s.create("x", nil)
	s.check(s.fs.SyncDir(s.name("x")))
	s.check(s.fs.Remove(s.name("x")))
	s.check(s.fs.SyncDir(s.name("x")))
}

// A name has one resolved form, before and after the file is there, which is
// its own resolved form and leads to the same file.
func resolveIsStable(s *subject) {
	before, err := s.fs.Resolve(s.name("x"))
	s.check(err)
	s.create("x", []byte("bytes"))
	for _, name := range []string{s.name("x"), before} {
		for _, fsys := range []vfs.FS{s.fs, s.other} {
			if after, err := fsys.Resolve(name); after != before || err != nil {
				s.Errorf("Resolve(%q) = %q, %v; want %q", name, after, err, before)
			}
		}
	}
	byName, err := s.fs.Stat(s.name("x"))
	s.check(err)
	if resolved, err := s.other.Stat(before); resolved != byName || err != nil {
		s.Errorf("%q is %+v, resolved %+v, %v", s.name("x"), byName, resolved, err)
	}
}

// What a storage can do does not depend on whether the file is there, or on
// who asks.
func propsAreStable(s *subject) {
	s.create("x", nil)
	for _, fsys := range []vfs.FS{s.Env.FS, s.fs, s.other} {
		for _, base := range []string{"x", "missing"} {
			if got := fsys.Props(s.name(base)); got != s.props {
				s.Errorf("Props(%s) = %+v, but %+v before", base, got, s.props)
			}
		}
	}
}

func missingNames(s *subject) {
	for _, base := range []string{"x", "no/such/place"} {
		s.isGone(base)
		_, err := s.fs.Stat(s.name(base))
		s.names("Stat", err, base)
		err = s.fs.Remove(s.name(base))
		s.is("Remove", err, fs.ErrNotExist)
		s.names("Remove", err, base)
	}
}
