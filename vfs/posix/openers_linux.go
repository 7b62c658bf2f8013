package posix

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Openers returns the processes that have the file called name open, this one
// left out, in the order of their ids; known is false where the system does not
// tell. It sees those that the caller may look into: his own, or all as root.
// Processes come and go while it looks.
func Openers(name string) (openers []Opener, known bool) {
	var file unix.Stat_t
	if unix.Stat(name, &file) != nil {
		return nil, false
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, false
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if open, write := holds(pid, filepath.Base(name), &file); open {
			openers = append(openers, Opener{PID: pid, Write: write, Command: CommandLine(pid)})
		}
	}
	slices.SortFunc(openers, func(a, b Opener) int { return cmp.Compare(a.PID, b.PID) })
	return openers, true
}

// holds reports whether a process has the file open, and may write it.
func holds(pid int, base string, file *unix.Stat_t) (open, write bool) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false, false // gone, or somebody else's
	}
	for _, fd := range fds {
		// By its name first: to look at a file of a server that is gone may take for ever.
		link := filepath.Join(dir, fd.Name())
		if to, err := os.Readlink(link); err != nil || filepath.Base(to) != base {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(link, &st) != nil || st.Dev != file.Dev || st.Ino != file.Ino {
			continue
		}
		open = true
		write = write || mayWrite(pid, fd.Name())
	}
	return open, write
}

// mayWrite looks at the flags with which a descriptor was opened.
func mayWrite(pid int, fd string) bool {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseUint(strings.TrimSpace(rest), 8, 64)
			return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
		}
	}
	return false
}

// CommandLine returns the command line of a process, words divided by spaces;
// empty where the system does not tell it.
func CommandLine(pid int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))
}
