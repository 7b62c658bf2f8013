package vfstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/vfs"
)

// Env is a storage to be tested. Every subtest gets one of its own.
type Env struct {
	// FS is the storage as one process sees it.
	FS vfs.FS

	// Other returns another view of the same storage that shares nothing with
	// FS in memory: that of another process, or of another instance. nil: there
	// is none, and FS takes its part.
	Other func() vfs.FS

	// Dir is what all names begin with that the suite uses, without the slash
	// that comes after it. Nothing lies there but an empty directory "sub" (see
	// the package comment).
	Dir string

	// Crash yields storages in states in which a power cut at the moment of
	// the call may leave this one, the worst among them. nil: that cannot be
	// tried.
	Crash func() iter.Seq[vfs.FS]
}

// rule is one thing that the contract says, or a requirement.
type rule struct {
	name string
	test func(s *subject)
}

func rules() []rule {
	return slices.Concat(handleRules, readRules, growthRules, writerRules, takenRules, nameRules,
		lockRules, waitRules, markRules, adviceRules, crashRules, asyncRules, callbackRules, randomRules)
}

// Run tests a storage. env is called for each subtest.
func Run(t *testing.T, env func(t testing.TB) Env) {
	t.Helper()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) { r.test(newSubject(t, env(t))) })
	}
}

// subject is a storage in a test.
type subject struct {
	testing.TB
	Env
	fs    vfs.FS // Env.FS, waiting
	other vfs.FS // another view of it, waiting
	props vfs.Props

	patience time.Duration // bounds every wait for something that must happen
}

func newSubject(t testing.TB, env Env) *subject {
	s := &subject{TB: t, Env: env, fs: vfs.Blocking(env.FS), props: env.FS.Props(env.Dir + "/x"), patience: time.Minute}
	if s.other = s.fs; env.Other != nil {
		s.other = vfs.Blocking(env.Other())
	}
	return s
}

// name returns the full name of a file of the test.
func (s *subject) name(base string) string { return s.Dir + "/" + base }

// need skips the test unless the storage can do what it is about.
func (s *subject) need(can bool, why string) {
	s.Helper()
	if !can {
		s.Skip(why)
	}
}

// check ends the test at an error.
func (s *subject) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// is reports an error other than the one that is wanted.
func (s *subject) is(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: error %v, want one that Is %v", what, err, want)
	}
}

// put writes a file through fsys. It waits, as all of the suite does that does
// not say otherwise.
func put(fsys vfs.FS, name string, mode vfs.CreateMode, content []byte) error {
	w := fsys.Create(name, mode, 0o600)
	if n, err := w.Write(content); n != len(content) || err != nil {
		return fmt.Errorf("write took %d of %d bytes: %w", n, len(content), err)
	}
	return w.Commit()
}

// create makes a file that was not there.
func (s *subject) create(base string, content []byte) {
	s.Helper()
	s.check(put(s.fs, s.name(base), vfs.FailIfExists, content))
}

// replace makes a file whether or not it was there.
func (s *subject) replace(base string, content []byte) {
	s.Helper()
	s.check(put(s.fs, s.name(base), vfs.ReplaceIfExists, content))
}

// open opens a file in a view, and closes it at the end of the test.
func (s *subject) open(fsys vfs.FS, base string, mode vfs.Mode) vfs.File {
	s.Helper()
	f := fsys.Open(s.name(base), mode)
	if f == nil {
		s.Fatalf("Open(%s) = nil", base)
	}
	s.Cleanup(func() {
		if err := f.Close(); err != nil {
			s.Errorf("Close of %s: %v", base, err)
		}
	})
	return f
}

// opened is open, and uses the file once, so that it has been opened.
func (s *subject) opened(fsys vfs.FS, base string, mode vfs.Mode) vfs.File {
	s.Helper()
	f := s.open(fsys, base, mode)
	_, err := f.Stat()
	s.check(err)
	return f
}

// readAll reads a file up to its end, as ReadAt shows it.
func readAll(f vfs.File) ([]byte, error) {
	var all []byte
	p := make([]byte, 64<<10)
	for {
		n, err := f.ReadAt(p, int64(len(all)))
		all = append(all, p[:n]...)
		switch {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return all, err
		case n < len(p):
			return all, fmt.Errorf("a read stopped at %d without io.EOF", len(all))
		}
	}
}

// readName opens a file, reads it and closes it.
func readName(fsys vfs.FS, name string) ([]byte, error) {
	f := fsys.Open(name, vfs.ReadOnly)
	all, err := readAll(f)
	return all, errors.Join(err, f.Close())
}

// holds reports a file that does not hold these bytes: read as a whole, beyond
// its end, and in pieces none of which is short.
func (s *subject) holds(f vfs.File, want []byte) {
	s.Helper()
	if got, err := readAll(f); err != nil || !bytes.Equal(got, want) {
		s.Errorf("the file holds %s, %v; want %s", brief(got), err, brief(want))
		return
	}
	p := make([]byte, 500)
	if len(want) > 10_000 {
		p = make([]byte, 5000)
	}
	for off := 0; off+len(p) <= len(want); off += len(p) {
		if n, err := f.ReadAt(p, int64(off)); n != len(p) || err != nil && err != io.EOF || !bytes.Equal(p, want[off:off+len(p)]) {
			s.Errorf("ReadAt(%d bytes, %d) = %d, %v: %s; want %s", len(p), off, n, err, brief(p), brief(want[off:]))
			return
		}
	}
}

// leadsTo reports a name that does not lead to these bytes, in either view.
func (s *subject) leadsTo(base string, want []byte) {
	s.Helper()
	for _, fsys := range []vfs.FS{s.fs, s.other} {
		if got, err := readName(fsys, s.name(base)); err != nil || !bytes.Equal(got, want) {
			s.Errorf("%s holds %s, %v; want %s", base, brief(got), err, brief(want))
		}
	}
}

// brief shows what can be shown of bytes in a message.
func brief(p []byte) string {
	if len(p) <= 40 {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%d bytes (%q ...)", len(p), p[:20])
}

// isGone reports a name that leads to something, in either view.
func (s *subject) isGone(base string) {
	s.Helper()
	for _, fsys := range []vfs.FS{s.fs, s.other} {
		info, err := fsys.Stat(s.name(base))
		if !errors.Is(err, fs.ErrNotExist) {
			s.Errorf("Stat of %s, which is not there: %+v, %v", base, info, err)
		}
		_, err = readName(fsys, s.name(base))
		s.is("reading "+base+", which is not there", err, fs.ErrNotExist)
	}
}

// list collects what List yields.
func list(fsys vfs.FS, prefix string) ([]string, error) {
	var names []string
	for name, err := range fsys.List(prefix) {
		if err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

// remain reports other names than these in the directory: what a test leaves
// behind is what it was to leave.
func (s *subject) remain(bases ...string) {
	s.Helper()
	if !s.props.ReliableListing {
		return
	}
	var want []string
	for _, base := range bases {
		want = append(want, s.name(base))
	}
	for _, fsys := range []vfs.FS{s.fs, s.other} {
		if got, err := list(fsys, s.Dir+"/"); err != nil || !slices.Equal(got, want) {
			s.Errorf("List shows %q, %v; want %q", got, err, want)
		}
	}
}

// names reports an error that does not tell which file it is about.
func (s *subject) names(what string, err error, base string) {
	s.Helper()
	if err != nil && !strings.Contains(err.Error(), s.name(base)) {
		s.Errorf("%s: the error does not name %s: %v", what, s.name(base), err)
	}
}

// soon returns a context for what must happen.
func (s *subject) soon() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	s.Cleanup(cancel)
	return ctx
}

// pattern returns n bytes that are different at most offsets, and for each salt.
func pattern(salt, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*31>>3 ^ i*7 + salt*101)
	}
	return p
}

// operations calls each method of a file that can fail. Those that change the
// file come last.
func operations(f vfs.File) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		_, err := f.ReadAt(make([]byte, 1), 0)
		if !yield("ReadAt", err) {
			return
		}
		if _, err = f.Size(); !yield("Size", err) {
			return
		}
		if _, err = f.Stat(); !yield("Stat", err) {
			return
		}
		for what, err := range changes(f) {
			if !yield(what, err) {
				return
			}
		}
	}
}

// changes calls each method that a handle needs the mode vfs.Append for.
func changes(f vfs.File) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		_, err := f.Append([]byte("x"), 0)
		if !yield("Append", err) {
			return
		}
		if _, err = f.Rewrite([]byte("x"), 0); !yield("Rewrite", err) {
			return
		}
		_ = yield("Truncate", f.Truncate(0)) && yield("Sync", f.Sync())
	}
}
