package durus

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// childEnv makes the test binary a child process of a test.
const childEnv = "DURUS_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if version := os.Getenv(evolveEnv); version != "" {
			os.Exit(evolveChild(path, version))
		}
		os.Exit(child(path))
	}
	if path := os.Getenv(restoreChildEnv); path != "" {
		os.Exit(restoreChild(path))
	}
	if path := os.Getenv(tableChildEnv); path != "" {
		os.Exit(tableChild(path))
	}
	if path := os.Getenv(undoChildEnv); path != "" {
		os.Exit(undoChild(path))
	}
	if spec := os.Getenv(writerEnv); spec != "" {
		os.Exit(writer(spec))
	}
	if spec := os.Getenv(watcherEnv); spec != "" {
		os.Exit(watcher(spec))
	}
	if spec := os.Getenv(benchChildEnv); spec != "" {
		os.Exit(benchChild(spec))
	}
	code := m.Run()
	if !reflect.DeepEqual(&noWork, new(work)) {
		fmt.Printf("sessions that only read have written: %+v\n", noWork)
		code = 1
	}
	os.Exit(code)
}

// live is the life of a child: it opens the database and takes one step after the
// other until its standard input ends. What goes wrong it prints.
func live(path string, o Options, step func(db *DB, n int) error) int {
	db, err := Open(path, &o)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	defer db.Close()
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return 0
		default:
		}
		if err := step(db, n); err != nil {
			fmt.Println("error:", err)
			return 1
		}
	}
}

// child moves money between two accounts, one way and back, until its standard
// input ends, and prints a line for each transfer that was committed.
func child(path string) int {
	return live(path, Options{MaxRetries: 1000}, func(db *DB, n int) error {
		i := int64(n)
		if err := db.Update(context.Background(), func(tx *Tx) error {
			root, err := theBank.Load(tx)
			if err != nil {
				return err
			}
			a, err := root.Accounts["a"].Edit(tx)
			if err != nil {
				return err
			}
			b, err := root.Accounts["b"].Edit(tx)
			if err != nil {
				return err
			}
			a.Balance -= i%7 - 3
			b.Balance += i%7 - 3
			a.Tags = []string{fmt.Sprint(os.Getpid()), fmt.Sprint(i)}
			return nil
		}); err != nil {
			return err
		}
		fmt.Println("done", i)
		return nil
	})
}

// D1, D4, D10, scenario 25: several processes write one file and one of them is
// killed again and again. No money is lost in any state that anybody sees, and
// nobody stops.
func TestProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "bank.durus")
	db, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		verify(t, db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	openAccounts(t, db, 500, 500)
	first, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}

	steady := startChild(t, path)
	transfers, kills := 0, 0
	for deadline := time.Now().Add(1500 * time.Millisecond); time.Now().Before(deadline); {
		victim := startChild(t, path)
		for range 20 {
			victim.line(t)
			transfers++
			steady.line(t)
			transfers++
			view(t, db, func(tx *Tx) error {
				root := Must(theBank.Load(tx))
				if sum := Must(root.Accounts["a"].Load(tx)).Balance + Must(root.Accounts["b"].Load(tx)).Balance; sum != 1000 {
					t.Fatalf("the sum is %d", sum)
				}
				return nil
			})
		}
		if err := victim.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.cmd.Wait()
		kills++
	}
	if err := steady.in.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, steady.out)
	if err := steady.cmd.Wait(); err != nil {
		t.Errorf("the child that was not killed: %v", err)
	}
	last, err := db.LastTID()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range db.st.Transactions(first+1, last) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n < transfers {
		t.Errorf("%d transfers were acknowledged, the file has %d", transfers, n)
	}
	t.Logf("%d transfers, %d kills", n, kills)
}

type childProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(t *testing.T, path string) *childProcess {
	t.Helper()
	return startChildIn(t, childEnv, path)
}

func startChildIn(t *testing.T, env, path string) *childProcess {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &childProcess{cmd: exec.CommandContext(t.Context(), exe)}
	c.cmd.Env = append(os.Environ(), env+"="+path)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// line waits for the next transfer of the child.
func (c *childProcess) line(t *testing.T) {
	t.Helper()
	s, err := c.out.ReadString('\n')
	if err != nil || !strings.HasPrefix(s, "done") {
		t.Fatalf("a child said %q, %v", s, err)
	}
}
