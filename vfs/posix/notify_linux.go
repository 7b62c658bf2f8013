package posix

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

var _ vfs.Notifier = FS{}

// Notify implements vfs.Notifier with an instance of inotify. The files are
// watched for what is written into them, and the directory for names that
// appear and vanish: then the watches are set anew on what the names lead to. So
// what happens to other files of a busy directory wakes nobody, unless it
// concerns their names.
func (FS) Notify(names []string, changed func()) (stop func(), err error) {
	fd, err := retryFD(func() (int, error) { return unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK) })
	if err != nil {
		return nil, fail("inotify", names[0], err)
	}
	w := &watcher{
		file:    os.NewFile(uintptr(fd), "inotify"), // of a non-blocking descriptor: Close ends a Read
		dir:     filepath.Dir(names[0]),
		names:   names,
		watches: make([]int, len(names)),
		changed: changed,
	}
	if err := w.watchAll(); err != nil {
		_ = w.file.Close() // there is nothing in it
		return nil, err
	}
	go w.run()
	return func() { _ = w.file.Close() }, nil
}

// watcher is an instance of inotify. But for file, which anybody may close, it
// belongs to Notify and then to the goroutine of run.
type watcher struct {
	file    *os.File
	dir     string
	names   []string
	watches []int // the file that each of the names led to last; 0: none
	changed func()
}

const (
	dirEvents  = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	fileEvents = unix.IN_MODIFY | unix.IN_DONT_FOLLOW
)

// watchAll watches the directory first: a name that comes to lead to another
// file afterwards is told.
func (w *watcher) watchAll() error {
	if _, err := w.watch(w.dir, dirEvents); err != nil {
		return fail("inotify", w.dir, err)
	}
	return w.watchFiles()
}

// watchFiles watches what the names lead to by now.
func (w *watcher) watchFiles() error {
	for i, name := range w.names {
		wd, err := w.watch(name, fileEvents)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fail("inotify", name, err)
		}
		if old := w.watches[i]; old != 0 && old != wd {
			// An error says that the file is gone, and the watch with it.
			_ = withFD(w.file, func(fd int) error { _, err := unix.InotifyRmWatch(fd, uint32(old)); return err })
		}
		w.watches[i] = wd
	}
	return nil
}

// watch returns the number of a watch, the same for the same file; numbers
// begin with 1.
func (w *watcher) watch(name string, events uint32) (wd int, err error) {
	err = withFD(w.file, func(fd int) (err error) {
		wd, err = unix.InotifyAddWatch(fd, name, events)
		return err
	})
	if err != nil {
		return 0, err
	}
	return wd, nil
}

// run waits for events until the file is closed. It ends as well when the
// system gives out of watches on the way: nothing is told from there on.
func (w *watcher) run() {
	defer w.file.Close()
	buf := make([]byte, 16*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		written, renamed := w.read(buf[:n])
		if renamed && w.watchFiles() != nil {
			return
		}
		// After the new watches are set: what was written before they were is
		// found by who is told now.
		if written || renamed {
			w.changed()
		}
	}
}

// read tells what events say of the files.
func (w *watcher) read(events []byte) (written, renamed bool) {
	ne := binary.NativeEndian
	for len(events) >= unix.SizeofInotifyEvent {
		mask, n := ne.Uint32(events[4:]), int(ne.Uint32(events[12:]))
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:][:n]), "\x00")
		events = events[unix.SizeofInotifyEvent+n:]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0: // events were dropped
			renamed = true
		case mask&unix.IN_MODIFY != 0:
			written = true
		case mask&unix.IN_IGNORED == 0 && w.knows(name):
			renamed = true
		}
	}
	return written, renamed
}

// knows tells whether an entry of the directory is one of the names.
func (w *watcher) knows(entry string) bool {
	for _, name := range w.names {
		if filepath.Base(name) == entry {
			return true
		}
	}
	return false
}
