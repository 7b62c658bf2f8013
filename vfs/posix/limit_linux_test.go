package posix

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/durusdb/durus/vfs"
	"golang.org/x/sys/unix"
)

func init() { children["limit"] = childLimit }

// childLimit appends and creates with no room for more than args[1] bytes in a
// file.
func childLimit(args []string) error {
	limit, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	rl := unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &rl); err != nil {
		return err
	}
	f := New().Open(args[0], vfs.Append)
	n, err := f.Append(make([]byte, 100), 50)
	if n != limit-50 || !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("append said %d, %v", n, err)
	}
	if size, err := f.Size(); size != int64(limit) || err != nil {
		return fmt.Errorf("the size is %d, %v", size, err)
	}
	if err := f.Truncate(50); err != nil {
		return err
	}
	if _, err := f.Append(make([]byte, 1), 50); err != nil {
		return fmt.Errorf("after the failure: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	w := New().Create(args[0]+".copy", vfs.FailIfExists, 0o600)
	if _, err := w.Write(make([]byte, limit+1)); err != nil {
		return err
	}
	if err := w.Commit(); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("commit said %v", err)
	}
	return nil
}

// command is this test binary in another role. It dies with us.
func command(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "DURUS_CHILD="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// F6, A7: no room for all of an append: it tells how far it came, the error Is
// ENOSPC, the file can be cut and used on; a create leaves nothing.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	for _, limit := range []string{"51", "100", "149"} {
		put(t, path, string(make([]byte, 50)))
		if err := command("limit", path, limit).Run(); err != nil {
			t.Errorf("limit %s: %v", limit, err)
		}
		mustHold(t, dir, "x")
	}
}

func init() { children["create"] = childCreate }

// childCreate is killed while it creates.
func childCreate(args []string) error {
	w := New().Create(args[0], vfs.FailIfExists, 0o600)
	if _, err := w.Write([]byte("half")); err != nil {
		return err
	}
	fmt.Println("written")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// F16: a killed creator leaves a temporary file, which the next one removes.
func TestKilledCreator(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	cmd := command("create", path)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, readErr := io.ReadFull(out, make([]byte, len("written\n")))
	if err := errors.Join(readErr, cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() == "x" {
		t.Fatalf("after the kill: %v, %v", entries, err)
	}
	if err := New().Create(path, vfs.FailIfExists, 0o600).Commit(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, dir, "x")
}

// F23, H6: the list, as statfs(2) reports the types.
func TestRemoteTypes(t *testing.T) {
	for magic, kind := range map[uint32]string{
		unix.NFS_SUPER_MAGIC:   "nfs",
		unix.SMB_SUPER_MAGIC:   "smb",
		unix.CIFS_SUPER_MAGIC:  "cifs",
		unix.SMB2_SUPER_MAGIC:  "smb2",
		unix.V9FS_MAGIC:        "9p",
		unix.FUSE_SUPER_MAGIC:  "fuse",
		unix.AFS_SUPER_MAGIC:   "afs",
		unix.AFS_FS_MAGIC:      "afs",
		unix.CEPH_SUPER_MAGIC:  "ceph",
		unix.CODA_SUPER_MAGIC:  "coda",
		unix.OCFS2_SUPER_MAGIC: "ocfs2",
	} {
		if got := remoteTypes[magic]; got != kind {
			t.Errorf("%#x is %q, want %q", magic, got, kind)
		}
	}
	for _, magic := range []uint32{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC} {
		if kind, remote := remoteTypes[magic]; remote {
			t.Errorf("%#x counts as remote: %q", magic, kind)
		}
	}
}
