package filestorage

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

var update = flag.Bool("update", false, "write the golden files of the current format again")

// The golden files of format 1: a database with every kind of frame, and its
// lock file. Every later version of this program must read them (F36).
const (
	goldenFile = "testdata/golden-v1.durus"
	goldenMark = "testdata/golden-v1.durus.lock"
	formatPage = "../docs/format.md"
	pageReader = "../docs/reader.py"
)

// The types of the golden file's objects.
type (
	goldenRoots   map[string]codec.Strong
	goldenAccount struct {
		Owner   string
		Balance int64
		Rate    float64
		Since   time.Time
		Key     []byte
		Tags    map[string]string
		Friends []codec.Strong
		Parent  codec.Weak
		Closed  bool
	}
)

var (
	goldenAda = goldenAccount{
		Owner: "ada", Balance: 100, Rate: 0.5, Since: time.Unix(1_700_000_000, 0).UTC(),
		Key: []byte{1, 2, 3}, Tags: map[string]string{"city": "London"},
	}
	goldenAdaLater = goldenAccount{
		Owner: "ada", Balance: -70000, Rate: 0.5, Since: time.Unix(1_700_000_000, 0).UTC(),
		Key: []byte{1, 2, 3}, Tags: map[string]string{"city": "Turin"}, Friends: []codec.Strong{3},
	}
	goldenBob  = goldenAccount{Owner: "bob", Since: time.Unix(1_700_000_001, 500_000_000).UTC(), Parent: 2, Closed: true}
	goldenMeta = storage.Meta{User: "eva", Description: "first", Ext: map[string]string{"host": "x"}}
)

// makeGolden writes the golden database under dir and returns its two files.
// Nothing in it depends on the moment or on chance.
func makeGolden(t *testing.T, dir string) (file, mark []byte) {
	t.Helper()
	ctx, path, fsys := context.Background(), filepath.Join(dir, "golden.durus"), posix.New()
	clock := time.UnixMicro(1_700_000_000_000_000)
	h := Header{Format: formatNumber, Salt: 0x8877665544332211, HighOID: firstOID, Synced: headerSize, Created: clock.UnixMicro()}
	copy(h.ID[:], "0123456789abcdef")
	must(t, createWith(fsys, path, 0o600, &h))
	s, err := Open(path, Options{FS: fsys, Foreground: true, Now: func() time.Time { return clock }})
	must(t, err)
	ada, err := s.NewOID(ctx)
	must(t, err)
	bob, err := s.NewOID(ctx)
	must(t, err)
	if ada != 2 || bob != 3 {
		t.Fatalf("object ids %d and %d, want 2 and 3", ada, bob)
	}
	roots, err := s.ClassID(ctx, "durus.Roots")
	must(t, err)
	account, err := s.ClassID(ctx, "bank.Account")
	must(t, err)
	clock = clock.Add(time.Second)
	commitGolden(t, s, goldenMeta, goldenRecord(t, 1, roots, &goldenRoots{"bank": 2}), goldenRecord(t, ada, account, &goldenAda))
	clock = clock.Add(-time.Hour) // it was set back: ids and times do not follow
	commitGolden(t, s, storage.Meta{}, goldenRecord(t, ada, account, &goldenAdaLater), goldenRecord(t, bob, account, &goldenBob))
	var m [vfs.MarkSize]byte
	l := s.current()
	must(t, s.Close())
	lock := fsys.Locker(lockName(path), fsys.Open(path, vfs.ReadOnly), vfs.ReadOnly, 0)
	defer lock.Close()
	if n, err := lock.ReadMark(&m); err != nil || n != len(m) {
		t.Fatalf("the mark has %d bytes: %v", n, err)
	}
	file, err = os.ReadFile(path)
	must(t, err)
	if p := parseMark(&m); p.end != int64(len(file)) || p.end != l.cur.pos {
		t.Fatalf("the mark says %d, the file has %d bytes, %d of them valid", p.end, len(file), l.cur.pos)
	}
	return file, m[:]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func commitGolden(t *testing.T, s *Storage, m storage.Meta, recs ...storage.Record) {
	t.Helper()
	snap, err := s.Begin(context.Background(), true)
	must(t, err)
	defer snap.Release()
	_, err = s.Commit(context.Background(), &storage.Commit{Base: snap, Records: recs, Meta: m})
	must(t, err)
}

func goldenRecord[T any](t *testing.T, oid storage.OID, class storage.ClassID, v *T) storage.Record {
	t.Helper()
	plan, err := codec.Compile(reflect.TypeFor[T]())
	must(t, err)
	var w codec.Writer
	must(t, plan.Encode(&w, v, nil))
	r := storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: w.Buf}
	for _, o := range w.Strong {
		r.Strong = append(r.Strong, storage.OID(o))
	}
	for _, o := range w.Weak {
		r.Weak = append(r.Weak, storage.OID(o))
	}
	return r
}

// TestGoldenFileIsWritten holds the bytes that this version writes against the
// golden files. A difference is a new format: give it a new number, and keep
// the files of the old one.
func TestGoldenFileIsWritten(t *testing.T) { // F36, F20
	file, mark := makeGolden(t, t.TempDir())
	if *update {
		must(t, os.MkdirAll(filepath.Dir(goldenFile), 0o755))
		must(t, os.WriteFile(goldenFile, file, 0o644))
		must(t, os.WriteFile(goldenMark, mark, 0o644))
	}
	for name, got := range map[string][]byte{goldenFile: file, goldenMark: mark} {
		if want, err := os.ReadFile(name); err != nil {
			t.Error(err)
		} else if i := firstDifference(got, want); i >= 0 {
			t.Errorf("%s differs from what is written now at byte %d (%d and %d bytes)", name, i, len(want), len(got))
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// openGolden opens a copy of the golden file.
func openGolden(t *testing.T, readOnly, withMark bool) *Storage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "golden.durus")
	data, err := os.ReadFile(goldenFile)
	must(t, err)
	must(t, os.WriteFile(path, data, 0o600))
	if withMark {
		data, err = os.ReadFile(goldenMark)
		must(t, err)
		must(t, os.WriteFile(lockName(path), data, 0o600))
	}
	s, err := Open(path, Options{FS: posix.New(), ReadOnly: readOnly, MustExist: true})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	report, err := s.Verify(context.Background(), nil)
	must(t, err)
	if !report.OK() || report.Tail != 0 || report.Transactions != 2 || report.Objects != 3 {
		t.Errorf("Verify: %+v", report)
	}
	return s
}

// TestGoldenFileIsRead reads the golden file with its mark and, writable,
// without one.
func TestGoldenFileIsRead(t *testing.T) { // F36
	for _, readOnly := range []bool{true, false} {
		t.Run(fmt.Sprintf("readOnly=%v", readOnly), func(t *testing.T) {
			s := openGolden(t, readOnly, readOnly && markAtZero)
			snap, err := s.Begin(context.Background(), !readOnly)
			must(t, err)
			defer snap.Release()
			if got := readGolden[goldenRoots](t, s, snap, 1, "durus.Roots"); got["bank"] != 2 {
				t.Errorf("the roots are %v", got)
			}
			for oid, want := range map[storage.OID]goldenAccount{2: goldenAdaLater, 3: goldenBob} {
				if got := readGolden[goldenAccount](t, s, snap, oid, "bank.Account"); !reflect.DeepEqual(got, want) {
					t.Errorf("object %s is %+v, want %+v", oid, got, want)
				}
			}
			var metas []storage.Meta
			for tx, err := range s.Transactions(0, 1<<62) {
				must(t, err)
				metas = append(metas, tx.Meta)
			}
			if want := []storage.Meta{goldenMeta, {}}; !reflect.DeepEqual(metas, want) {
				t.Errorf("metadata is %+v, want %+v", metas, want)
			}
		})
	}
}

// markAtZero: the mark is the whole lock file, but not on Windows.
var markAtZero = os.PathSeparator == '/'

func readGolden[T any](t *testing.T, s *Storage, snap storage.Snapshot, oid storage.OID, class string) (v T) {
	t.Helper()
	pos, err := snap.Find(oid)
	must(t, err)
	rec, err := snap.Read(oid, pos)
	must(t, err)
	if name, _ := snap.ClassName(rec.Class); name != class {
		t.Errorf("object %s is of class %q, want %q", oid, name, class)
	}
	plan, err := codec.Compile(reflect.TypeFor[T]())
	must(t, err)
	_, err = plan.Decode(rec.Payload, 0, &v)
	must(t, err)
	return v
}

// TestGoldenFileGrows commits to the golden file: ids go on where it ends.
func TestGoldenFileGrows(t *testing.T) { // F36
	s := openGolden(t, false, false)
	oid, err := s.NewOID(context.Background())
	must(t, err)
	if oid != 4 { // the file gave out 2 to 9, and took back what was not used
		t.Errorf("the next object id is %s, want 4", oid)
	}
	commitGolden(t, s, storage.Meta{}, goldenRecord(t, oid, 2, &goldenBob))
	snap, err := s.Begin(context.Background(), false)
	must(t, err)
	defer snap.Release()
	if got := readGolden[goldenAccount](t, s, snap, oid, "bank.Account"); !reflect.DeepEqual(got, goldenBob) {
		t.Errorf("object %s is %+v, want %+v", oid, got, goldenBob)
	}
}

// dump writes bytes field by field, each with what it means.
type dump struct {
	strings.Builder
	b  []byte
	at int
}

// bytes writes n bytes, 16 in a line.
func (d *dump) bytes(n int, what string) {
	for first := true; n > 0; first = false {
		k := min(n, 16)
		line := fmt.Sprintf("%08x % x", d.at, d.b[d.at:d.at+k])
		if first {
			line = fmt.Sprintf("%-56s   %s", line, what)
		}
		d.WriteString(line + "\n")
		d.at, n = d.at+k, n-k
	}
}

// number writes a number of n bytes and returns it. what may show it by a verb.
func (d *dump) number(n int, what string) int {
	var b [8]byte
	copy(b[:], d.b[d.at:d.at+n])
	v := binary.LittleEndian.Uint64(b[:])
	if strings.Contains(what, "%") {
		what = fmt.Sprintf(what, v)
	}
	d.bytes(n, what)
	return int(v)
}

// text writes a string whose length stands before it.
func (d *dump) text(what string) {
	if n := d.number(4, "length of "+what+": %d"); n > 0 {
		d.bytes(n, fmt.Sprintf("%s %q", what, d.b[d.at:d.at+n]))
	}
}

// zeros writes one line of what is zero up to a place, and a star.
func (d *dump) zeros(to int, what string) {
	d.bytes(16, what+" (all zero)")
	d.WriteString("*\n")
	d.at = to
}

func (d *dump) fileHeader() {
	d.bytes(8, `magic "durus", 1a, CR, LF`)
	d.number(4, "format %d")
	d.number(4, "header size %d")
	d.bytes(16, "database id")
	d.number(8, "generation %d")
	d.number(8, "salt %#x")
	d.number(8, "pack horizon %d: never packed")
	d.number(8, "first free object id %d")
	d.number(8, "synced length %d")
	d.number(8, "created %d us since 1970")
	d.bytes(44, "zero")
	d.bytes(4, "checksum of the 124 bytes before")
}

// frame writes the frame at the current place.
func (d *dump) frame() {
	var h frameHeader
	h.get(d.b[d.at:])
	kinds := map[kind]string{kindTransaction: "transaction", kindClass: "class", kindLease: "lease"}
	fmt.Fprintf(d, "-- a %s frame at %d\n", kinds[h.kind], d.at)
	d.bytes(4, `frame magic "dFrm"`)
	d.number(1, "kind %d: "+kinds[h.kind])
	d.number(1, "flags %d: must understand"+map[bool]string{true: ", promise"}[h.promise()])
	d.number(2, "header size %d")
	d.number(8, "length %d")
	d.number(8, "position %d")
	d.number(8, "transaction id %d")
	d.number(8, "time %d")
	d.bytes(8, "salt")
	d.number(8, "durable: %d was known")
	d.bytes(4, "link: checksum of the frame before, or of the file header")
	d.number(4, "metadata: %d bytes")
	d.number(4, "records: %d")
	d.bytes(4, "checksum of metadata and table")
	d.number(8, "lease: first %d")
	d.number(4, "lease: count %d")
	d.bytes(8, "zero")
	d.bytes(4, "checksum of the header")
	if h.kind == kindClass {
		d.number(4, "class number %d")
		d.bytes(h.metaLen-4, fmt.Sprintf("class name %q", d.b[d.at:d.at+h.metaLen-4]))
	} else if h.metaLen > 0 {
		for i := range d.number(4, "metadata: %d strings") {
			d.text([]string{"user", "description", "key", "value"}[i])
		}
	}
	for range h.records {
		oid := binary.LittleEndian.Uint64(d.b[d.at:])
		d.bytes(16, fmt.Sprintf("table: object %d at %d in the frame, checksum", oid, binary.LittleEndian.Uint32(d.b[d.at+8:])))
	}
	for range h.records {
		d.record()
	}
	d.number(8, "trailer: length %d")
	d.bytes(4, "checksum of the frame header")
	d.bytes(4, `trailer magic "dEnd"`)
}

func (d *dump) record() {
	d.number(6, "record of object %d")
	d.number(1, "codec %d: msgpack")
	d.bytes(1, "zero")
	d.number(8, "previous record at %d")
	d.number(8, "begins %d behind its frame")
	d.number(4, "class %d")
	payload := d.number(4, "payload: %d bytes")
	strong := d.number(4, "strong references: %d")
	weak := d.number(4, "weak references: %d")
	d.bytes(4, "checksum of the payload")
	d.bytes(4, "checksum of header and references")
	for range strong {
		d.number(8, "strong reference to %d")
	}
	for range weak {
		d.number(8, "weak reference to %d")
	}
	d.bytes(payload, "payload")
}

// dumpFile is the dump of a database, dumpMark that of its lock file.
func dumpFile(b []byte) string {
	d := dump{b: b}
	d.WriteString("-- the file header, first copy\n")
	d.fileHeader()
	d.zeros(headerCopy, "up to the second copy")
	d.WriteString("-- second copy\n")
	d.fileHeader()
	d.zeros(headerSize, "up to the first frame")
	for d.at < len(b) {
		d.frame()
	}
	fmt.Fprintf(&d, "%08x\n", d.at)
	return d.String()
}

func dumpMark(b []byte) string {
	d := dump{b: b}
	d.bytes(8, `magic "durusmk1"`)
	d.bytes(8, "salt of the data file")
	d.number(8, "the frame begins at %d")
	d.number(8, "the frame ends at %d: all before is durable")
	d.number(8, "its transaction id, %d")
	d.bytes(4, "its checksum")
	d.bytes(16, "zero")
	d.bytes(4, "checksum of the 60 bytes before")
	fmt.Fprintf(&d, "%08x\n", d.at)
	return d.String()
}

// TestFormatPageShowsTheGoldenFile: the dumps in docs/format.md are those of
// the golden files, line by line. With -update they are written there.
func TestFormatPageShowsTheGoldenFile(t *testing.T) {
	text, err := os.ReadFile(formatPage)
	must(t, err)
	page := string(text)
	for name, form := range map[string]func([]byte) string{goldenFile: dumpFile, goldenMark: dumpMark} {
		b, err := os.ReadFile(name)
		must(t, err)
		open := "```dump " + filepath.Base(name) + "\n"
		before, rest, found := strings.Cut(page, open)
		shown, after, closed := strings.Cut(rest, "```\n")
		if !found || !closed {
			t.Fatalf("%s has no dump of %s", formatPage, name)
		}
		want := form(b)
		if *update {
			page = before + open + want + "```\n" + after
		} else if i := firstDifference([]byte(shown), []byte(want)); i >= 0 {
			t.Errorf("the dump of %s in %s differs from it in line %d: run this test with -update", name, formatPage, 1+strings.Count(want[:i], "\n"))
		}
	}
	if *update {
		must(t, os.WriteFile(formatPage, []byte(page), 0o644))
	}
}

// runReader runs docs/reader.py, which knows nothing but docs/format.md.
func runReader(t *testing.T, path string) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIP: there is no python3 here to run docs/reader.py")
	}
	cmd := exec.Command(python, "-B", pageReader, path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return slices.Collect(strings.SplitSeq(strings.TrimSpace(string(out)), "\n"))
}

// TestReaderReadsTheGoldenFile: docs/format.md is enough to read a file in
// another language.
func TestReaderReadsTheGoldenFile(t *testing.T) {
	want := []string{
		"database 30313233343536373839616263646566 format 1 generation 0",
		`transaction 1700000001000000 2023-11-14T22:13:21.000000Z objects 1 2 user "eva" description "first" ext {"host": "x"}`,
		`transaction 1700000001000001 2023-11-14T22:13:21.000000Z objects 2 3 user "" description "" ext {}`,
		`object 1 durus.Roots {"bank": strong(2)} strong [2] weak []`,
		`object 2 bank.Account {"Owner": "ada", "Balance": -70000, "Rate": 0.5, "Since": time(1700000000.000000000), "Key": bytes(010203), "Tags": {"city": "Turin"}, "Friends": [strong(3)], "Parent": null, "Closed": false} strong [3] weak []`,
		`object 3 bank.Account {"Owner": "bob", "Balance": 0, "Rate": 0.0, "Since": time(1700000001.500000000), "Key": null, "Tags": null, "Friends": null, "Parent": weak(2), "Closed": true} strong [] weak [2]`,
	}
	got := runReader(t, goldenFile)
	end := len(got) - 1
	if !slices.Equal(got[:end], want) {
		t.Errorf("docs/reader.py says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	size := fileSize(t, goldenFile)
	if s := fmt.Sprintf("end %d of %d, known to be durable %d", size, size, size); got[end] != s {
		t.Errorf("docs/reader.py says %q, want %q", got[end], s)
	}
}

// TestReaderReadsAPackedFile: so it is with a file that was packed, and whose
// history was kept from the second transaction on; and with the old one, which
// ends with a moved frame.
func TestReaderReadsAPackedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "packed.durus")
	data, err := os.ReadFile(goldenFile)
	must(t, err)
	must(t, os.WriteFile(path, data, 0o600))
	must(t, os.Link(path, path+".old"))
	s := openTest(t, path, Options{})
	p, err := s.NewPacking(background, PackingOptions{KeepFrom: 1700000001000001})
	if err == nil || !strings.Contains(err.Error(), "hard links") {
		t.Fatalf("%v, %v", p, err)
	}
	must(t, os.Remove(path+".old"))
	p, err = s.NewPacking(background, PackingOptions{KeepFrom: 1700000001000001})
	must(t, err)
	for _, oid := range []storage.OID{2, 1} {
		if _, found, err := p.Keep(Next{OID: oid}, nil); !found || err != nil {
			t.Fatalf("object %s: %v", oid, err)
		}
	}
	n := 0
	c := &Caught{Transactions: &n, Records: func(storage.ClassID, int64, bool) {}}
	_, err = p.Swap(background, c, func(from, to storage.OID) error { return fmt.Errorf("%s refers to %s", from, to) })
	must(t, err)
	must(t, p.Close())
	must(t, s.Close())
	want := runReader(t, goldenFile)
	want[0] = strings.Replace(want[0], "generation 0", "generation 1", 1)
	want = slices.Delete(want, 1, 2) // the first transaction
	size := fileSize(t, path)
	want[len(want)-1] = fmt.Sprintf("end %d of %d, known to be durable %d", size, size, size)
	if got := runReader(t, path); !slices.Equal(got, want) {
		t.Errorf("docs/reader.py says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	must(t, err)
	return info.Size()
}

// TestReaderAndEngineAgree cuts the golden file at many places and flips bits
// in others, with and without its mark: docs/reader.py and the engine must find
// the same end, and the same reason for it.
func TestReaderAndEngineAgree(t *testing.T) { // F1, F2
	data, err := os.ReadFile(goldenFile)
	must(t, err)
	dir := t.TempDir()
	mark, err := os.ReadFile(goldenMark)
	must(t, err)
	var names []string
	add := func(b []byte, format string, n int) {
		name := filepath.Join(dir, fmt.Sprintf(format, n))
		must(t, os.WriteFile(name, b, 0o600))
		names = append(names, name)
		if len(names)%2 == 0 && markAtZero {
			must(t, os.WriteFile(lockName(name), mark, 0o600))
		}
	}
	for n := headerSize; n < len(data); n += 3 {
		add(data[:n], "cut-%05d", n)
	}
	for n := 0; n < len(data); n += 7 {
		if n >= headerUsed && n < headerSize {
			continue // the second copy of the header and what nobody reads
		}
		b := slices.Clone(data)
		b[n] ^= 1 << (n % 8)
		add(b, "flip-%05d", n)
	}
	got := runReader(t, dir)
	if len(got) != len(names) {
		t.Fatalf("docs/reader.py answered %d lines for %d files", len(got), len(names))
	}
	slices.Sort(names)
	verdicts := map[string]int{}
	for i, name := range names {
		want := engineSays(t, name)
		if got[i] != want {
			t.Errorf("docs/reader.py says %q, the engine %q", got[i], want)
		}
		verdicts[want[strings.LastIndexByte(want, ' ')+1:]]++
	}
	for _, v := range []string{"whole", "tail", "damage"} {
		if verdicts[v] == 0 {
			t.Errorf("no file was %s: %v", v, verdicts)
		}
	}
}

// engineSays describes a file as docs/reader.py does when it is given a directory.
func engineSays(t *testing.T, path string) string {
	t.Helper()
	s, err := Open(path, Options{FS: posix.New(), ReadOnly: true, Logger: quiet})
	must(t, err)
	defer s.Close()
	l := s.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.poll()
	verdict := "tail"
	switch {
	case err != nil:
		verdict = "damage"
	case l.cur.pos == fileSize(t, path):
		verdict = "whole"
	}
	return fmt.Sprintf("%s: end %d, %s", filepath.Base(path), l.cur.pos, verdict)
}
