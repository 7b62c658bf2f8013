package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/backup"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

func (a *app) backupCommand() *cobra.Command {
	var incremental, verify bool
	cmd := &cobra.Command{
		Use:   "backup FILE DST [--incremental] [--json]",
		Short: "Copy a database that is in use, whole or what is new",
		Long: `Copy a database while others read, write and pack it. Every checksum is looked
at on the way: damage is never copied. The database is not locked or written to.

DST is a directory that exists, a new file, or - for standard output. In a
directory each full backup begins a run; --incremental adds what was committed
since the last backup, and makes a full one where it must (after a pack, say),
and says so.

backup --verify DIR checks a directory; exit code 3 says there are problems.`,
		Example: `  durusctl backup bank.durus /backups/bank --incremental
  durusctl backup bank.durus - | ssh vault 'cat >bank.durus'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			misuse := func(text string) error { return usageError{text, cmd.CommandPath()} }
			switch {
			case verify && (len(args) > 1 || incremental):
				return misuse("--verify takes a directory and nothing else")
			case verify:
				return a.verifyBackup(cmd.Context(), args[0])
			case len(args) < 2:
				return misuse("backup needs a FILE and where to put the copy")
			case args[1] == "-" && (incremental || a.json):
				return misuse("standard output takes a whole copy and nothing else")
			}
			return a.backup(cmd.Context(), args[0], args[1], incremental)
		},
	}
	cmd.Flags().BoolVar(&incremental, "incremental", false, "only what is new since the last backup in a directory")
	cmd.Flags().BoolVar(&verify, "verify", false, "check a directory of backups")
	return fileArgs(cmd, 1)
}

type backupJSON struct {
	Full    bool        `json:"full"`
	Reason  string      `json:"reason"`
	Resumed bool        `json:"resumed"`
	Nothing bool        `json:"nothing"`
	Run     int         `json:"run"` // 0: a single file
	TID     storage.TID `json:"tid"`
	Bytes   int64       `json:"bytes"`
	Chunks  []string    `json:"chunks"`
	Seconds float64     `json:"seconds"`
}

func (a *app) backup(ctx context.Context, path, dst string, incremental bool) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	bar := a.progress("backup")
	defer bar.end()
	if dst == "-" {
		_, err := st.Backup(ctx, a.out, bar.update)
		if err == nil {
			err = a.out.Flush()
		}
		if errors.Is(err, syscall.EPIPE) { // elsewhere it means that the reader has seen enough
			err = errors.New("nobody reads the copy any more: it is not complete")
		}
		return err
	}
	fsys := posix.New()
	info, err := statFollowing(fsys, dst)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !incremental:
		return a.backupToFile(ctx, st, fsys, dst, bar)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil || !info.Type.IsDir():
		if incremental {
			return explain(fs.ErrNotExist, dst+" is no directory: increments need one; create it first, or mount the disk that it is on")
		}
		return explain(fs.ErrExist, dst+" is there already: name a new file, or a directory")
	}
	do := backup.Full
	if incremental {
		do = backup.Incremental
	}
	r, err := do(ctx, st, fsys, dst, backup.Options{Progress: bar.update})
	bar.end()
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(backupJSON{r.Full, string(r.Reason), r.Resumed, r.Nothing, r.Run, r.TID, r.Bytes, append([]string{}, r.Chunks...), r.Took.Seconds()})
	}
	a.printBackup(&r)
	return nil
}

// statFollowing is Stat of what a name leads to.
func statFollowing(fsys vfs.FS, name string) (vfs.Info, error) {
	resolved, err := fsys.Resolve(name)
	if err != nil {
		return vfs.Info{}, err
	}
	return fsys.Stat(resolved)
}

// backupToFile copies to a new file, which gets its name when it is complete.
func (a *app) backupToFile(ctx context.Context, st *filestorage.Storage, fsys vfs.FS, dst string, bar *progress) error {
	begun := time.Now()
	w := fsys.Create(dst, vfs.FailIfExists, 0o600)
	n := &counter{w: w}
	tid, err := st.Backup(ctx, n, bar.update)
	bar.end()
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	if err := w.Commit(); errors.Is(err, fs.ErrNotExist) {
		return explain(err, dst+" cannot be made: its directory does not exist: create that first, or mount the disk that it is on")
	} else if err != nil {
		return err
	}
	if err := fsys.SyncDir(dst); err != nil { // a backup that was reported is on the disk
		return err
	}
	if a.json {
		return a.printJSON(backupJSON{Full: true, Reason: string(backup.Asked), TID: tid, Bytes: n.n, Chunks: []string{}, Seconds: time.Since(begun).Seconds()})
	}
	fmt.Fprintf(a.out, "%s: %s, up to transaction %s\n", plain(dst), sizeText(n.n), tid)
	return nil
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// reasons are those of package backup in words.
var reasons = map[backup.Reason]string{
	backup.First:    "the first one",
	backup.Asked:    "as asked for",
	backup.Packed:   "the database was packed since the last one",
	backup.Replaced: "the database is another file since the last one",
	backup.Rewound:  "the database was restored to an older state since the last one",
}

func (a *app) printBackup(r *backup.Report) {
	if r.Nothing {
		fmt.Fprintf(a.out, "nothing to do: nothing was committed since transaction %s\n", r.TID)
		return
	}
	var f facts
	if r.Full {
		what := reasons[r.Reason]
		if r.Resumed {
			what += "; it goes on with what an interrupted one has left"
		}
		f.add("full", what)
	} else {
		f.add("increment", "what was committed since the last backup")
	}
	f.add("up to", fmt.Sprintf("transaction %s, %s", r.TID, timeText(r.Time)))
	f.add("written", fmt.Sprintf("%s in %s of run %d", sizeText(r.Bytes), count(uint64(len(r.Chunks)), "chunk"), r.Run))
	f.add("time", r.Took.Round(time.Millisecond).String())
	a.printFacts(f)
}

type backupVerdictJSON struct {
	OK       bool                `json:"ok"`
	Runs     []runJSON           `json:"runs"`
	Problems []backupProblemJSON `json:"problems"`
	Unnamed  []string            `json:"unnamed"`
}

type runJSON struct {
	Number   int         `json:"number"`
	Reason   string      `json:"reason"`
	Complete bool        `json:"complete"`
	Chunks   int         `json:"chunks"`
	Bytes    int64       `json:"bytes"`
	From     storage.TID `json:"from"`
	To       storage.TID `json:"to"`
	ToTime   string      `json:"to_time"` // empty: nothing can be restored
	Written  string      `json:"written"`
}

type backupProblemJSON struct {
	File   string      `json:"file"`
	Offset int64       `json:"offset"`
	Reason string      `json:"reason"`
	Usable storage.TID `json:"usable"`
}

func (a *app) verifyBackup(ctx context.Context, dir string) error {
	bar := a.progress("verify")
	v, err := backup.Verify(ctx, posix.New(), dir, bar.update)
	bar.end()
	var damage *backup.DamageError
	if errors.As(err, &damage) { // of the manifest
		v, err = &backup.Verdict{Problems: []*backup.DamageError{damage}}, nil
	}
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(backupVerdictOf(v))
	} else {
		a.printBackupVerdict(dir, v)
	}
	if err == nil && !v.OK() {
		err = backupProblemsError{dir, len(v.Problems)}
	}
	return err
}

func backupVerdictOf(v *backup.Verdict) backupVerdictJSON {
	j := backupVerdictJSON{OK: v.OK(), Runs: []runJSON{}, Problems: []backupProblemJSON{}, Unnamed: append([]string{}, v.Unnamed...)}
	for _, r := range v.Runs {
		to := ""
		if r.To > 0 {
			to = timeText(r.ToTime)
		}
		j.Runs = append(j.Runs, runJSON{r.Number, string(r.Reason), r.Complete, r.Chunks, r.Bytes, r.From, r.To, to, timeText(r.Written)})
	}
	for _, p := range v.Problems {
		j.Problems = append(j.Problems, backupProblemJSON{p.Name, p.Offset, p.Reason, p.Usable})
	}
	return j
}

func (a *app) printBackupVerdict(dir string, v *backup.Verdict) {
	for _, p := range v.Problems {
		fmt.Fprintf(a.out, "%s\n", a.red(plain(fmt.Sprintf("%s, byte %d: %s", p.Name, p.Offset, p.Reason))))
	}
	t := table{header: []string{"RUN", "CHUNKS", "BYTES", "FROM", "UP TO", "TIME"}, right: map[int]bool{0: true, 1: true, 2: true}}
	for _, r := range v.Runs {
		to, at := r.To.String(), a.moment(r.ToTime)
		switch {
		case !r.Complete:
			to, at = "unfinished", ""
		case r.To == 0:
			to, at = "nothing", ""
		}
		t.add(fmt.Sprint(r.Number), fmt.Sprint(r.Chunks), shortSize(r.Bytes), r.From.String(), to, at)
	}
	a.printTable(&t)
	if v.OK() {
		fmt.Fprintf(a.out, "%s: ok\n", plain(dir))
	}
	for _, name := range v.Unnamed {
		a.note("%s is what an interrupted backup has left: no problem, the next one removes it", name)
	}
}
