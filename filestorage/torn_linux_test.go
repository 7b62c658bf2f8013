package filestorage

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
	"golang.org/x/sys/unix"
)

// children are the roles that the test binary plays when it runs itself again
// with DURUS_CHILD set.
var children = map[string]func(args []string) error{
	"torn": childTorn,
}

func init() {
	role := os.Getenv("DURUS_CHILD")
	if role == "" {
		return
	}
	if err := children[role](os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// childCommand is this test binary in another role. It dies with us.
func childCommand(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), "DURUS_CHILD="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// childTorn reads numbers from its input, a line each. For n it allows the file
// to grow by n bytes, commits, and says what came of it.
func childTorn(args []string) error {
	oid, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	s, err := Open(args[0], Options{FS: posix.New(), Logger: quiet})
	if err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		snap, err := s.Begin(background, true) // so that the end is known
		if err != nil {
			return err
		}
		rl := unix.Rlimit{Cur: uint64(s.current().end()) + uint64(n), Max: unix.RLIM_INFINITY}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &rl); err != nil {
			return err
		}
		_, err = s.Commit(background, &storage.Commit{Base: snap, Records: []storage.Record{{OID: storage.OID(oid), Class: 1, Payload: []byte(strings.Repeat("c", size))}}})
		snap.Release()
		rl.Cur = unix.RLIM_INFINITY
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &rl); err != nil {
			return err
		}
		switch {
		case err == nil:
			fmt.Println("committed")
		case errors.Is(err, syscall.ENOSPC) && !errors.Is(err, storage.ErrUnknownOutcome):
			fmt.Println("full")
		default:
			return err
		}
	}
	return errors.Join(in.Err(), s.Close())
}

// TestTornForReal tears a commit of another process at every byte with
// RLIMIT_FSIZE: it gets an error that Is ENOSPC and stays usable; this process
// commits right behind it, and everything verifies. F1 F6 S53 S60 N15
func TestTornForReal(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.name, func(t *testing.T) {
			path := t.TempDir() + "/db"
			s := opened(t, path, Options{FS: posix.New(), Logger: quiet})
			if _, err := s.ClassID(background, "torn.Thing"); err != nil {
				t.Fatal(err)
			}
			oid, err := s.NewOID(background)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := edit(s, oid, "0"); err != nil {
				t.Fatal(err)
			}
			cmd := childCommand("torn", path, oid.String(), fmt.Sprint(shape.size))
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			answers := bufio.NewScanner(out)
			length := shape.size + frameHeaderSize + tableEntrySize + recordHeaderSize + trailerSize
			step := 1
			if shape.size > 1000 {
				step = 61
			}
			want := "0"
			for n := 0; n <= length; n += step {
				if n > length-step {
					n = length
				}
				fmt.Fprintln(in, n)
				if !answers.Scan() {
					t.Fatalf("%d bytes: the child is gone: %v", n, cmd.Wait())
				}
				if n == length {
					want = strings.Repeat("c", shape.size)
				}
				if got := answers.Text(); (got == "committed") != (n == length) {
					t.Fatalf("%d bytes of %d: %s", n, length, got)
				}
				if got, err := look(s, oid); err != nil || got != want {
					t.Fatalf("%d bytes: a View sees %.10q, %v", n, got, err)
				}
				want = fmt.Sprint("after ", n)
				if _, err := edit(s, oid, want); err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
				if err := clean(s); err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if err := clean(s); err != nil {
				t.Fatal(err)
			}
		})
	}
}
