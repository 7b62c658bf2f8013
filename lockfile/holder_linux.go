package lockfile

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

// Holder implements vfs.Locker with /proc/locks, which lists the flocks of the
// whole machine. It is for messages: by the time it returns, all may have
// changed. Where /proc is not mounted, for holders outside of this pid
// namespace, and on file systems whose devices differ there (btrfs), it is 0.
func (l *Locker) Holder() int {
	var ids []vfs.FileID
	if h, err := l.look(); err == nil && h != nil {
		ids = append(ids, h.id)
	}
	if l.data != nil {
		if conn, err := l.data.SyscallConn(); err == nil {
			if id, err := idOfConn(conn); err == nil {
				ids = append(ids, id)
			}
		}
	}
	for _, id := range ids {
		f, err := os.Open("/proc/locks")
		if err != nil {
			return 0
		}
		pid := findHolder(f, id)
		_ = f.Close() // it was only read
		if pid > 0 {
			return pid
		}
	}
	return 0
}

// findHolder looks for an exclusive flock on id in a list like
//
//	1: FLOCK  ADVISORY  WRITE 4711 08:01:131077 0 EOF
//	1: -> FLOCK  ADVISORY  WRITE 4712 08:01:131077 0 EOF
//
// where "->" marks those who wait.
func findHolder(locks io.Reader, id vfs.FileID) int {
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		w := strings.Fields(lines.Text())
		if len(w) < 6 || w[1] != "FLOCK" || w[3] != "WRITE" {
			continue
		}
		if where, ok := parseInode(w[5]); !ok || where != id {
			continue
		}
		if pid, err := strconv.Atoi(w[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}

// parseInode reads major:minor:inode, the first two in hex.
func parseInode(s string) (vfs.FileID, bool) {
	w := strings.Split(s, ":")
	if len(w) != 3 {
		return vfs.FileID{}, false
	}
	major, err1 := strconv.ParseUint(w[0], 16, 32)
	minor, err2 := strconv.ParseUint(w[1], 16, 32)
	ino, err3 := strconv.ParseUint(w[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return vfs.FileID{}, false
	}
	return vfs.FileID{Dev: unix.Mkdev(uint32(major), uint32(minor)), Ino: ino}, true
}
