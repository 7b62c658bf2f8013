//go:build linux

package torture

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/internal/mistake"
)

type edit struct{ File, Old, New string } // a mistake.Edit

// mistakes are changes of the engine and of the object layer that each break
// one promise. (What only a power cut brings to light is for the crash tests of
// filestorage.)
var mistakes = []struct {
	name  string
	edits []edit
	test  string // that shall find it; empty: histories
}{
	{"only writes are validated", []edit{{"durus/rebase.go",
		"if c.db.opts.Isolation == SnapshotIsolation {", "if true {"}}, ""},
	{"loads do not enter the read set", []edit{{"durus/ref.go",
		"return load[T](s.core(), uint64(r.raw), true) }", "return load[T](s.core(), uint64(r.raw), false) }"}}, ""},
	{"nothing that others appended is validated", []edit{{"filestorage/conflict.go",
		"if t.checked >= end {", "if true {"}}, ""},
	{"validation before the lock and not under it", []edit{{"filestorage/commit.go",
		"if err := t.conflicts(b.start); err != nil {", "if err := error(nil); err != nil {"}}, ""},
	{"members of a group are not validated against each other", []edit{{"filestorage/commit.go",
		"if err := b.conflicts(t); err != nil {", "if err := error(nil); err != nil {"}}, ""},
	{"validation from the commit on and not from the snapshot", []edit{{"filestorage/commit.go",
		"checked: base.end}", "checked: base.l.end()}"}}, ""},
	{"some changes of others are forgotten", []edit{{"filestorage/lineage.go",
		"if remember {", "if remember && (l.index.get(oid) == 0 || f.pos%4 != 0) {"}}, ""},
	{"an old snapshot reads the newest state", []edit{{"filestorage/snapshot.go",
		"if int64(p) >= s.end {\n		return s.older(oid, p)", "if int64(p) < 0 {\n		return s.older(oid, p)"}}, ""},
	{"a View does not look at the file", []edit{{"filestorage/storage.go",
		"func (s *Storage) look(ctx context.Context, l *lineage, writable bool) error {\n",
		"func (s *Storage) look(ctx context.Context, l *lineage, writable bool) error {\nif !writable && l.ready.Load() {\nreturn nil\n}\n"}}, ""},
	{"objects with odd ids are not validated", []edit{{"filestorage/conflict.go",
		"!t.reads.Depends(oid, pos)", "oid%2 == 1 || !t.reads.Depends(oid, pos)"}}, ""},
	{"an acknowledgement before the append", []edit{{"filestorage/commit.go",
		"func (s *Storage) Commit(ctx context.Context, c *storage.Commit) (storage.TID, error) {\n",
		"func (s *Storage) Commit(ctx context.Context, c *storage.Commit) (storage.TID, error) {\nif len(c.Records) > 0 && s.now().UnixMicro()%8 == 0 {\ngo s.commit(ctx, c)\nreturn c.Base.TID() + 1, nil\n}\n"}}, ""},
	{"a conflict that was committed", []edit{{"filestorage/commit.go",
		"s.stats.commits.Add(1)\n", "if s.stats.commits.Add(1)%16 == 0 {\nreturn 0, &storage.ConflictError{}\n}\n"}}, ""},
	{"half of a transaction is taken into the index", []edit{{"filestorage/lineage.go",
		"l.index.set(oid, pos)", "if i == 0 || l.index.get(oid) == 0 {\nl.index.set(oid, pos)\n}"}}, ""},
	{"objects are cached by id and not by revision", []edit{
		{"durus/load.go", "if e := c.gen.cache.get(pos); e != nil &&", "if e := c.gen.cache.get(storage.Position(oid)); e != nil &&"},
		{"durus/load.go", "return c.gen.cache.put(pos, v, size), nil", "return c.gen.cache.put(storage.Position(oid), v, size), nil"}}, ""},
	{"object ids are used again", []edit{{"filestorage/lease.go",
		"le.put(l.id, block{h.leaseFirst, ", "le.put(l.id, block{h.leaseFirst - min(max(h.leaseFirst, 80)-80, 3), "}}, ""},
	{"who opens the file cuts the last frame", []edit{{"filestorage/lineage.go",
		"l.recent.forget(l.cur.pos)\n", "if mode == vfs.Append && l.cur.last > 1<<15 && l.dur.base == l.cur.pos {\nl.file.Truncate(l.cur.last)\n}\nl.recent.forget(l.cur.pos)\n"}}, "^TestKill$"},
}

// TestTortureFindsMistakes runs the rings on an engine with one mistake at a
// time. They are worth something only if one of the two checkers objects each
// time.
func TestTortureFindsMistakes(t *testing.T) { // acceptance test 40
	if os.Getenv("DURUS_TORTURE") == "" && os.Getenv("DURUS_CRASH_STATES") == "" {
		t.Skip("SKIP: takes some minutes; set DURUS_TORTURE or DURUS_CRASH_STATES to run it")
	}
	for _, i := range mistake.Chosen(t, len(mistakes)) {
		m := mistakes[i]
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			dir := t.TempDir()
			var edits []mistake.Edit
			for _, e := range m.edits {
				edits = append(edits, mistake.Edit(e))
			}
			binary := filepath.Join(dir, "mistaken.test")
			build := exec.Command("go", "test", "-c", "-vet=off", "-o", binary, "-overlay="+mistake.Overlay(t, "../..", edits...), ".")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("it does not compile: %v\n%s", err, out)
			}
			test := m.test
			if test == "" {
				test = "^TestTortureHistories$/^mixed$"
			}
			const tries = 3 // interleavings are a matter of luck
			for range tries {
				out := runMistaken(t, binary, dir, test)
				if line := objection(out); line != "" {
					t.Log(line)
					return
				}
				t.Logf("no checker objects:\n%s", out)
			}
			t.Errorf("no checker finds: %s", m.name)
		})
	}
}

// runMistaken runs a test of a mistaken binary, whose files go with it.
func runMistaken(t *testing.T, binary, dir, test string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", test, "-test.v")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DURUS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() == nil && !strings.Contains(string(out), "--- FAIL") {
		t.Fatalf("it did not run: %v\n%s", err, out)
	}
	return string(out)
}

// objection is the first anomaly that one of the two checkers has found, empty
// if there is none.
func objection(out string) string {
	checker := ""
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		switch {
		case strings.Contains(line, "history: witness found"):
			checker = "witness: "
		case strings.Contains(line, "history: cycles found"):
			checker = "cycles: "
		case strings.Contains(line, "_test.go:"):
			checker = ""
		case checker != "" && !strings.HasPrefix(line, "vacuous"):
			return checker + line
		}
	}
	return ""
}
