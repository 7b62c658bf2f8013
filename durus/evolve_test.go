package durus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// evolveEnv makes the test binary a program of another time: its value is the
// version that the program knows.
const evolveEnv = "DURUS_TEST_EVOLVE"

// evolvePrograms are the programs of three times, see version_test.go.
var evolvePrograms = map[string]func() *Types{"1": programV1, "2": programV2, "3": programV3}

// evolveChild does what its standard input says, one line at a time, and
// answers each with a line:
//
//	add NAME FIRST LAST    stores a person
//	show NAME              loads one
//	age NAME YEAR          edits one
//	migrate                rewrites all that is old
func evolveChild(path, version string) int {
	db, err := Open(path, &Options{Types: evolvePrograms[version]()})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	defer db.Close()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		answer, err := evolveCommand(db, version, strings.Fields(in.Text()))
		switch {
		case errors.Is(err, ErrTooNew):
			answer = "too new"
		case err != nil:
			answer = "error: " + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(answer)
	}
	return 0
}

func evolveCommand(db *DB, version string, args []string) (answer string, err error) {
	ctx := context.Background()
	switch args[0] {
	case "add":
		err = db.Update(ctx, func(tx *Tx) error {
			v := Must(theVillage.Edit(tx))
			if v.People == nil {
				v.People = map[string]AnyRef{}
			}
			switch first, last := args[2], args[3]; version {
			case "1":
				v.People[args[1]] = Must(Add(tx, &personV1{Name: first + " " + last})).Any()
			case "2":
				v.People[args[1]] = Must(Add(tx, &personV2{First: first, Last: last})).Any()
			case "3":
				v.People[args[1]] = Must(Add(tx, &person{First: first, Last: last})).Any()
			}
			return nil
		})
		return "ok", err
	case "show":
		err = db.View(ctx, func(tx *Tx) error {
			switch p := Must(Must(theVillage.Load(tx)).People[args[1]].Load(tx)).(type) {
			case *personV1:
				answer = fmt.Sprint(p.Name, " ", p.Born)
			case *personV2:
				answer = fmt.Sprint(p.First, " ", p.Last, " ", p.Born)
			case *person:
				answer = fmt.Sprint(p.First, " ", p.Last, " ", p.Year)
			}
			return nil
		})
		return answer, err
	case "age":
		err = db.Update(ctx, func(tx *Tx) error {
			ref := Must(theVillage.Load(tx)).People[args[1]]
			year := 0
			if _, err := fmt.Sscan(args[2], &year); err != nil {
				return err
			}
			switch version {
			case "1":
				Must(As[personV1](ref).Edit(tx)).Born = year
			case "2":
				Must(As[personV2](ref).Edit(tx)).Born = year
			case "3":
				Must(As[person](ref).Edit(tx)).Year = year
			}
			return nil
		})
		return "ok", err
	case "migrate":
		r, err := db.Migrate(ctx, nil)
		return fmt.Sprint("migrated ", r.Migrated), err
	}
	return "", fmt.Errorf("what is %q?", args)
}

// startProgram starts a process with the program of a version.
func startProgram(t *testing.T, path, version string) *childProcess {
	t.Setenv(evolveEnv, version)
	c := startChild(t, path)
	t.Cleanup(func() {
		_ = c.in.Close()
		_ = c.cmd.Wait()
	})
	return c
}

// ask sends a line and returns the answer.
func (c *childProcess) ask(t *testing.T, format string, args ...any) string {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		t.Fatal(err)
	}
	s, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %q, %v", line, s, err)
	}
	return strings.TrimSpace(s)
}

// Scenario 91: a type evolves over three versions, and the processes that know
// each of them work on one file at the same time, the oldest to the end.
func TestEvolveWithOldProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	path := filepath.Join(t.TempDir(), "village.durus")
	one := startProgram(t, path, "1")
	want := func(c *childProcess, answer, format string, args ...any) {
		t.Helper()
		if got := c.ask(t, format, args...); got != answer {
			t.Errorf("%s: got %q, want %q", fmt.Sprintf(format, args...), got, answer)
		}
	}
	want(one, "ok", "add ada Ada Lovelace")
	want(one, "ok", "add bob Bob Kahn")
	want(one, "ok", "add eve Eve Online")

	// The second version arrives. Whatever it does not change stays the old one's.
	two := startProgram(t, path, "2")
	want(two, "Ada Lovelace 0", "show ada")
	want(two, "ok", "age ada 1815")
	want(two, "Ada Lovelace 1815", "show ada")
	want(one, "too new", "show ada")
	want(one, "too new", "age ada 1")
	want(one, "Bob Kahn 0", "show bob")
	want(one, "ok", "age bob 1938")
	want(two, "Bob Kahn 1938", "show bob")
	want(two, "ok", "add tim Tim Lee")

	// The third one, with both others still there.
	three := startProgram(t, path, "3")
	want(three, "Ada Lovelace 1815", "show ada")
	want(three, "Bob Kahn 1938", "show bob")
	want(three, "ok", "age bob 1939")
	want(two, "too new", "show bob")
	want(one, "too new", "show bob")
	want(two, "ok", "age ada 1816")
	want(three, "Ada Lovelace 1816", "show ada")
	want(one, "ok", "age eve 2003")
	want(one, "ok", "add zoe Zoe Zora")
	want(three, "Zoe Zora 0", "show zoe")

	// Everything else becomes the third one's; the others notice, and go on with
	// what they make themselves.
	want(three, "migrated 4", "migrate")
	want(three, "migrated 0", "migrate")
	for _, name := range []string{"ada", "bob", "eve", "tim", "zoe"} {
		want(one, "too new", "show %s", name)
		want(two, "too new", "show %s", name)
	}
	want(three, "Eve Online 2003", "show eve")
	want(three, "Tim Lee 0", "show tim")
	want(one, "ok", "add kim Kim Novak")
	want(one, "Kim Novak 0", "show kim")
	want(three, "Kim Novak 0", "show kim")

	db, err := Open(path, &Options{Types: programV3()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	verify(t, db)
	if got := classes(t, db); got["t.Person@3"] != 5 || got["t.Person"] != 1 {
		t.Errorf("the classes are %v", got)
	}
}

// Processes migrate together; one after the other is killed on the way, and
// the last ones finish. Nothing is lost, and nothing is done twice.
func TestMigrateKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	const n = 20000
	path := filepath.Join(t.TempDir(), "village.durus")
	old, err := Open(path, &Options{Types: programOld(), Sync: SyncNever})
	if err != nil {
		t.Fatal(err)
	}
	manyPeople(t, old, n)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path, &Options{Types: programV3()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	kills := 0
	for left := n; left > n/2; left = classes(t, db)["t.Person"] {
		victim := startProgram(t, path, "3")
		if _, err := fmt.Fprintln(victim.in, "migrate"); err != nil {
			t.Fatal(err)
		}
		for before := left; left == before; left = classes(t, db)["t.Person"] {
			time.Sleep(time.Millisecond)
		}
		if err := victim.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = victim.cmd.Wait()
		kills++
	}
	one, two := startProgram(t, path, "3"), startProgram(t, path, "3")
	for _, c := range []*childProcess{one, two} {
		if _, err := fmt.Fprintln(c.in, "migrate"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*childProcess{one, two} {
		if s, err := c.out.ReadString('\n'); err != nil || !strings.HasPrefix(s, "migrated ") {
			t.Errorf("got %q, %v", s, err)
		}
	}
	verify(t, db)
	if got := classes(t, db); got["t.Person@3"] != n || got["t.Person"] != 0 {
		t.Errorf("the classes are %v", got)
	}
	view(t, db, func(tx *Tx) error {
		for name, ref := range Must(theVillage.Load(tx)).People {
			p := Must(As[person](ref).Load(tx))
			if want := fmt.Sprint("p", p.Year); name != want || p.First != "First"+want[1:] || p.Last != "Last" {
				t.Fatalf("%s became %+v", name, p)
			}
		}
		return nil
	})
	t.Logf("%d kills", kills)
}
