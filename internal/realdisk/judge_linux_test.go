package realdisk

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// account is what the processes of one experiment were told, outside of the
// file system under test.
type account struct {
	until    int64                       // CLOCK_MONOTONIC: what was told later counts for nothing; 0: all counts
	verdicts [processes]map[int64]string // of each transaction that was begun; "" if none came
	seen     state                       // the newest that any View has shown
	problems []string                    // what nobody may ever be told
	texts    []string                    // what went with the verdicts that were not ok
}

func newAccount() *account {
	a := new(account)
	for p := range a.verdicts {
		a.verdicts[p] = make(map[int64]string)
	}
	return a
}

// add takes down what a child that commits has said.
func (a *account) add(process int, said []string) {
	for _, line := range said {
		word, rest, _ := strings.Cut(line, " ")
		number, text, _ := strings.Cut(rest, ":")
		var n, at int64
		switch word {
		case "begin":
			if _, err := fmt.Sscan(rest, &n); err == nil {
				a.verdicts[process][n] = ""
			}
		case "ok", "unknown", "locked", "full", "failed":
			if _, err := fmt.Sscan(number, &n, &at); err != nil {
				continue // cut short by its death
			}
			if a.late(at) {
				word = "unknown"
			}
			a.verdicts[process][n] = word
			if word != "ok" {
				a.texts = append(a.texts, line)
			}
			if strings.Contains(text, errTorn.Error()) {
				a.problems = append(a.problems, line)
			}
		case "open", "closed:":
			if !strings.HasSuffix(line, "well") {
				a.texts = append(a.texts, line)
			}
		}
	}
}

// complaints are the first of the texts.
func (a *account) complaints() string { return strings.Join(a.texts[:min(len(a.texts), 6)], "\n") }

// late reports whether nobody may rely on what was told at that time.
func (a *account) late(at int64) bool { return a.until != 0 && at >= a.until }

// watched takes down what a child that looks has said.
func (a *account) watched(said []string) (views int) {
	for _, line := range said {
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "saw":
			var at state
			var when int64
			if _, err := fmt.Sscan(rest, &when, &at[0], &at[1], &at[2], &at[3]); err != nil || a.late(when) {
				continue // late, or cut short by its death
			}
			for p := range at {
				a.seen[p] = max(a.seen[p], at[p])
			}
			views++
		case "blind:":
			if strings.Contains(rest, errTorn.Error()) {
				a.problems = append(a.problems, line)
			}
		}
	}
	return views
}

// note is add for one transaction of the test itself.
func (a *account) note(process int, n int64, err error) {
	a.verdicts[process][n] = verdict(err)
	if err != nil {
		a.texts = append(a.texts, fmt.Sprintf("%s %d: %v", verdict(err), n, err))
	}
}

// count is how many transactions got a verdict.
func (a *account) count(verdict string) (n int) {
	for _, of := range a.verdicts {
		for _, v := range of {
			if v == verdict {
				n++
			}
		}
	}
	return n
}

// openLimit is how long an Open of one of these small files may take.
const openLimit = time.Second

// leniency is what an experiment cannot ask for.
type leniency struct {
	// lossy are those who promise nothing (SyncInterval): a power cut may take
	// back what they were told, and what Views have shown of it.
	lossy [processes]bool
}

// judge opens a database after an experiment and says what is wrong. It
// commits one more transaction, which a notes, and leaves the file closed.
func judge(path string, a *account, with leniency) (state, error) {
	begin := time.Now()
	db, err := durus.Open(path, &durus.Options{MustExist: true, Check: durus.CheckNothing, Logger: quiet})
	if err != nil {
		return state{}, fmt.Errorf("it does not open: %w", err)
	}
	var found []error
	if took := time.Since(begin); took > openLimit {
		found = append(found, fmt.Errorf("opening took %v", took))
	}
	for _, p := range a.problems {
		found = append(found, fmt.Errorf("somebody was told: %s", p))
	}
	// The first View of a handle does not wait for the disk, and may end before
	// what nobody was told of. Sync brings that to the disk; then it is shown.
	_, _, err = look(db)
	found = append(found, err, db.Sync(background))
	at, _, err := look(db)
	found = append(found, err)
	if err == nil {
		found = append(found, agree(path, a, at, with))
		next := slices.Max(at[:]) + 1000
		_, err := transact(db, 0, next)
		a.note(0, next, err)
		if err != nil {
			found = append(found, fmt.Errorf("a new commit: %w", err))
		}
		at[0] = next
	}
	found = append(found, db.Close(), clean(path), unlocked(path))
	return at, errors.Join(found...)
}

// agree compares the log with what the processes were told, and the state with
// the log.
func agree(path string, a *account, at state, with leniency) error {
	log, err := transactions(path)
	if err != nil {
		return err
	}
	var found []error
	for p, of := range a.verdicts {
		newest := int64(0)
		there := make(map[int64]bool)
		for _, n := range log[p] {
			if n <= newest {
				found = append(found, fmt.Errorf("process %d: transaction %d stands behind %d in the log", p, n, newest))
			}
			newest = n
			there[n] = true
			if v, begun := of[n]; begun && v != "" && v != "ok" && v != "unknown" {
				found = append(found, fmt.Errorf("process %d: transaction %d is in the log, it was told %q", p, n, v))
			}
		}
		for n, v := range of {
			if v == "ok" && !there[n] && !with.lossy[p] {
				found = append(found, fmt.Errorf("process %d: transaction %d was acknowledged and is not in the log", p, n))
			}
		}
		if at[p] != newest {
			found = append(found, fmt.Errorf("process %d: a View shows transaction %d, the log ends with %d", p, at[p], newest))
		}
		if at[p] < a.seen[p] && !with.lossy[p] {
			found = append(found, fmt.Errorf("process %d: a View had shown transaction %d, it is %d now", p, a.seen[p], at[p]))
		}
	}
	return errors.Join(found...)
}

func openEngine(path string) (*filestorage.Storage, error) {
	return filestorage.Open(path, filestorage.Options{FS: posix.New(), ReadOnly: true, Logger: quiet})
}

// transactions returns the numbers of the transactions of each process, in
// the order of the log.
func transactions(path string) (log [processes][]int64, err error) {
	st, err := openEngine(path)
	if err != nil {
		return log, err
	}
	for tx, err := range st.Transactions(0, math.MaxUint64) {
		if err != nil {
			return log, errors.Join(err, st.Close())
		}
		var p int
		var n int64
		if _, err := fmt.Sscan(tx.User+" "+tx.Description, &p, &n); err != nil || p < 0 || p >= processes {
			return log, errors.Join(fmt.Errorf("a transaction that nobody made: %q %q", tx.User, tx.Description), st.Close())
		}
		log[p] = append(log[p], n)
	}
	return log, st.Close()
}

// clean checks every frame and record of a file, and that nothing is behind
// the last one: somebody has just committed.
func clean(path string) error {
	st, err := openEngine(path)
	if err != nil {
		return err
	}
	report, err := st.Verify(background, nil)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	var found []error
	for _, p := range report.Problems {
		found = append(found, fmt.Errorf("verify: %s", p))
	}
	if report.Tail != 0 {
		found = append(found, fmt.Errorf("verify: %d bytes are behind the last frame", report.Tail))
	}
	return errors.Join(append(found, st.Close())...)
}

// unlocked checks that the commit lock is free.
func unlocked(path string) error {
	fsys := posix.New()
	data := fsys.Open(path, vfs.Append)
	lock := fsys.Locker(path+".lock", data, vfs.Append, 0o600)
	ok, err := lock.TryLock()
	switch {
	case err != nil:
	case !ok:
		err = fmt.Errorf("the lock is held by process %d", lock.Holder())
	default:
		err = lock.Unlock()
	}
	return errors.Join(err, lock.Close(), data.Close())
}

// unchanged checks that the file begins with what it held before (F2, F7).
func unchanged(path string, before []byte) error {
	now, err := os.ReadFile(path)
	if err == nil && !bytes.HasPrefix(now, before) {
		err = fmt.Errorf("durable bytes have changed, from byte %d on", differ(now, before))
	}
	return err
}

// differ is the first place where two files are not the same.
func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// litter returns the files in a directory that should not be there after a
// database was used. What a writer has cut may lie in a side file.
func litter(t testing.TB, path string) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if name != path && name != path+".lock" && !strings.HasPrefix(name, path+".cut-") {
			names = append(names, name)
		}
	}
	return names
}

// openAndClose creates a database that may not be there.
func openAndClose(path string) error {
	db, err := durus.Open(path, nil)
	if err != nil {
		return err
	}
	return db.Close()
}
