package filestorage

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/durusdb/durus/internal/mistake"
)

// seeded is a change of a source file that breaks one promise.
type seeded struct {
	name, file, old, new string
}

// mistakes are those of the engine. The crash tests must find every one of them.
var mistakes = []seeded{
	{"two overlapping syncs on one handle", "durability.go",
		"if f := l.dur.flight; f != nil {", "if f := l.dur.flight; f != nil && l == nil {"},
	{"a newly opened process vouches for old bytes", "lineage.go",
		"if l.dur.unvouched, err = l.file.Size(); err != nil {", "if _, err = l.file.Size(); err != nil {"},
	{"a handle vouches after its own failed sync", "durability.go",
		"l.dur.unvouched = max(l.dur.unvouched, end)", "_ = end"},
	{"a mark raised without a sync", "durability.go",
		"if err := l.file.Sync(); err != nil {", "if err := error(nil); err != nil {"},
	{"cutting below W", "poll.go",
		"case c.pos >= w: //", "case c.pos >= w || w > 0: //"},
	{"refusing an unsynced window", "poll.go",
		"w = max(w, durable)", "w = max(w, durable); if _, n, _ := sc.behind(from); n > 0 { w = size }"},
	{"acknowledging before the sync", "commit.go",
		"return s.settle(l, end)\n	}\n	if l.behind", "return nil\n	}\n	if l.behind"},
	{"a cold handle trusts its own sync", "durability.go",
		"vouches := l.dur.unvouched <= l.dur.base", "vouches := true"},
	{"a View of a cold handle believes what it reads", "warm.go",
		"	if !l.dur.warm && st.end > l.dur.base {", "	l.raiseBase(st.end); l.publish()\n	if l == nil {"},
	{"comparing positions without checksums", "poll.go",
		"if s.end == m.end && s.sum == m.sum {", "if s.end == m.end {"},
	{"a View shows what is not durable", "lineage.go",
		"if len(c.promised) > 0 {", "if false {"},
	{"a View does not notice that the lock file was deleted", "storage.go",
		"	if gone {\n		if err := l.lock.Reopen()", "	if gone && s == nil {\n		if err := l.lock.Reopen()"},
	{"a handle does not look at the lock file after raising", "mark.go",
		"		if gone {\n			if err := l.lock.Reopen()", "		if gone && s == nil {\n			if err := l.lock.Reopen()"},
	{"the tail is not cut before an append", "lock.go",
		"cutErr = l.file.Truncate(l.cur.pos)", "cutErr = error(nil)"},
	{"an acknowledgement without the mark", "durability.go",
		"err := s.raise(l, claim, known, incarnation)\n", "_, _ = known, incarnation; l.mu.Lock(); l.raiseBase(claim.end); l.setWarm(true); l.mu.Unlock(); err := error(nil)\n"},
	{"records are not summed", "scan.go",
		"if !deep {", "if true {"},
	{"a frame's checksum does not stand for its records", "scan.go",
		" || r.sum != f.sum32(i) { // 11", " { // 11"},
	{"the chain is not looked at", "scan.go",
		"case link && f.prev != c.sum: // 7", "case false: // 7"},
	{"the anchor is not looked at", "poll.go",
		"	if !ok {\n		return l.rewoundError(fmt.Sprintf(\"the frame at", "	if !ok && size < 0 {\n		return l.rewoundError(fmt.Sprintf(\"the frame at"},
	{"raising without reading the header again", "mark.go",
		"if !ok || h.sum != claim.sum || h.end() != claim.end {", "if l == nil || h == (frameHeader{}) && ok {"},
	{"a read that ends too early is the end of the file", "poll.go",
		"	case locked:\n", "	case locked && l == nil:\n"},
	{"a tail is cut that was marked meanwhile", "lock.go",
		"ok && now != m && now.salt", "ok && l == nil && now.salt"},
	{"no sync when the commit before is an hour old", "durability.go", // M10: only a recovery comes so late
		"if err := l.file.Sync(); err != nil {", "if last := l.cur.ring[(l.cur.frames-2)%64]; last.tid > 0 && claim.tid-last.tid > 3_600_000_000 {\n		} else if err := l.file.Sync(); err != nil {"},
	{"a lease is not recorded", "lease.go",
		"b.add(newLeaseDraft(b.chain.high, n))", "le.put(b.l.id, block{b.chain.high, b.chain.high + storage.OID(n)})"},

	{"the packed file is renamed before it is on the disk", "swap.go",
		"if err := p.out.sync(); err != nil { // 4", "if err := p.out.flush(); err != nil { // 4"},
	{"no moved frame", "swap.go",
		"if err := p.appendMoved(end); err != nil { // 5", "if err := error(nil); err != nil && end > 0 {"},
	{"no last catch-up", "swap.go",
		"if err := p.catchUp(ctx, l.end(), c, link, nil); err != nil { // 3", "if err := error(nil); err != nil {"},
	{"a moved frame is never voided", "moved.go",
		"if v != verdictWhole || f.kind != kindMoved {", "if v == verdictWhole {"},
	{"a moved frame is never in force", "moved.go",
		"if marked >= f.end() {", "if true {"},
	{"a moved frame is cut", "lock.go",
		"if l.moving != nil { // nothing is cut", "if l.moving != nil && l == nil { //"},
	{"a copy of a file with a moved frame is refused", "moved.go",
		"if m.ino == ino && (", "if ino|1 != 0 && ("},
	{"who waits for a sync is not told that a pack holds his commit", "succession.go",
		"return n != nil && end <= n.end", "return n != nil && end < 0"},
	{"a branch of the history is taken for a packed file", "origin.go",
		"if x == o {", "if x.salt == o.salt {"},
	{"conflicts in the old file are forgotten", "succession.go",
		"if err := t.conflicts(n.end); err != nil {", "if err := error(nil); err != nil {"},
	{"conflicts in the new file are forgotten", "succession.go",
		"t.l, t.checked = to, pos", "_, t.l, t.checked = pos, to, to.end()"},
	{"a transaction jumps over a pack that has dropped what it needs to know", "succession.go",
		"if to.header.Horizon > n.tid {", "if false {"},
	{"references to what a pack has removed are not looked at", "commit.go",
		"if p := t.l.index.get(to); p < 0 {", "if p := t.base.l.index.get(to); p < 0 {"},
	{"what is linked again is not kept", "catchup.go",
		"if err := link(oid, to); err != nil {", "if err := error(nil); err != nil {"},
	{"a pack gives object ids free", "packing.go",
		"return nextHeader(&l.header, p.horizon, l.cur.high,", "return nextHeader(&l.header, p.horizon, l.cur.top+1,"},
	{"two packs at a time", "packing.go",
		"ok, err := p.lock.TryLock()", "ok, err := true, error(nil)"},
	{"what a killed pack has left is not collected", "packing.go",
		"	if err == nil && there.ID == own.ID {\n", "	if err == nil && there.ID == own.ID && !left {\n"},
	{"the pages of a checkpoint are believed", "floor.go",
		"if pageSum(page, f.salt, n) != ", "if false && pageSum(page, f.salt, n) != "},
	{"a checkpoint is used without a mark", "checkpoint.go",
		"if m.salt != c.salt || m.end < c.pos || m.start < headerSize {\n		return false, nil", "if m.salt != c.salt || m.end < c.pos || m.start < headerSize {\n		return true, nil"},
}

// fileMistakes are those in the making of files beside the engine: restores,
// backups, what is salvaged or loaded; and in the disk that they rely on.
var fileMistakes = []seeded{
	{"a restore does not sync the directory", "supersede.go",
		"if err := r.fs.SyncDir(r.path); err != nil {", "if err := error(nil); err != nil {"},
	{"a restore does not take the commit lock", "supersede.go",
		"if err := lock.Lock(ctx); err != nil {", "if err := error(nil); err != nil {"},
	{"a restore waits for the lock and believes that its file is still there", "supersede.go",
		"if ours, err := r.unchanged(r.name); err != nil || !ours {", "if ours, err := r.unchanged(r.name); err != nil && ours {"},
	{"a restore does not look at what it has renamed", "supersede.go",
		"if ours, err := r.unchanged(r.path); err != nil || !ours {", "if ours, err := r.unchanged(r.path); err != nil && ours {"},
	{"a restored file is not sealed", "../backup/restore.go",
		"return src.c.Seal(w)", "return nil"},
	{"a restore refuses what a killed one has left", "../backup/target.go",
		"scratchName(t.path), vfs.ReplaceIfExists", "scratchName(t.path), vfs.FailIfExists"},
	{"a restored file does not get its name for good", "../backup/target.go",
		"if err := t.fs.SyncDir(t.path); err != nil {", "if err := error(nil); err != nil {"},
	{"a salvaged file does not get its name for good", "salvage.go",
		"if err := fsys.SyncDir(out); err != nil {", "if err := error(nil); err != nil {"},
	{"a loaded file does not get its name for good", "builder.go",
		"if err := b.fs.SyncDir(b.path); err != nil {", "if err := error(nil); err != nil {"},
	{"who meets a restored file does not sync the directory", "durability.go",
		"done := l.dur.dirSynced", "done := true"},
	{"a mark of the old file stays", "lock.go",
		"if l.dur.foreign {", "if l.dur.foreign && s == nil {"},
	{"names in a directory of backups are not synced", "../backup/directory.go",
		"return d.syncNames() // before anything relies on the name", "return nil"},
	{"a backup relies on a manifest that another one did not sync", "../backup/directory.go",
		"err = d.syncNames()\n", "err = nil\n"},
	{"a backup leaves what an interrupted one has left", "../backup/directory.go",
		"return d, d.sweep()", "return d, nil"},
	{"a full backup counts with its first chunk", "../backup/backup.go",
		"r.Complete = r.Complete || done", "r.Complete = true"},
	{"a new file is not synced", "../vfs/mem/writer.go",
		"w.err = w.sync()", "w.err = error(nil)"},
	{"a new file is renamed before it is synced", "../vfs/mem/writer.go",
		"		w.err = w.sync()\n", "		defer func() { _ = w.sync() }()\n"},
}

// TestCrashFindsMistakes runs the crash tests against the engine with one
// mistake at a time. The tests are worth something only if they fail each time.
func TestCrashFindsMistakes(t *testing.T) {
	mayPlant(t)
	for _, i := range mistake.Chosen(t, len(mistakes)) {
		mistakes[i].plant(t, "Crash|Damage|LockFile|FrameStands|Misread|MarkIsRaised|Moved|Restored|Across|Checkpoint|Gone|Sleeper|LinkedAgain|OldSnapshots|TwoPacks", ".", "../pack")
	}
}

// TestCrashFindsFileMistakes is the same for what makes files beside the engine.
func TestCrashFindsFileMistakes(t *testing.T) {
	mayPlant(t)
	for _, i := range mistake.Chosen(t, len(fileMistakes)) {
		fileMistakes[i].plant(t, "CrashRestore|CrashBackup|CrashNewFile|TwoRestores", ".", "../backup")
	}
}

func mayPlant(t *testing.T) {
	t.Helper()
	if os.Getenv("DURUS_CRASH_STATES") == "" {
		t.Skip("SKIP: takes a minute; set DURUS_CRASH_STATES to run it")
	}
	if os.Getenv("DURUS_MISTAKE") != "" {
		t.Skip("SKIP: runs inside itself")
	}
}

// plant wants tests of packages to fail with the mistake.
func (m *seeded) plant(t *testing.T, tests string, packages ...string) {
	t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
		list := mistake.Overlay(t, "..", mistake.Edit{File: path.Join("filestorage", m.file), Old: m.old, New: m.new})
		args := []string{"test", "-vet=off", "-overlay=" + list, "-timeout=90s", "-failfast", "-run", tests}
		cmd := exec.Command("go", append(args, packages...)...)
		cmd.Env = append(os.Environ(), "DURUS_MISTAKE="+m.name, "DURUS_CRASH_STATES=100000")
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil:
			t.Errorf("no crash test finds: %s", m.name)
		case !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic: ")):
			t.Fatalf("it did not run:\n%s", out)
		default:
			t.Log(firstFailure(string(out)))
		}
	})
}

func firstFailure(out string) string {
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "_test.go:") {
			return strings.TrimSpace(line)
		}
	}
	return out
}
