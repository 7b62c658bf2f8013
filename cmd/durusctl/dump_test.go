package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

type museum struct {
	Rooms   durus.BTree[string, int]
	Owners  durus.Table[string, patron]
	Founded time.Time
}

type patron struct {
	Name string
	Of   durus.WeakRef[museum]
}

var (
	byName    = durus.NewIndex("name", func(p *patron) string { return p.Name })
	_         = durus.Register[patron]("museum.Patron", durus.Indexes(byName))
	_         = durus.Register[museum]("museum.Museum")
	theMuseum = durus.NewRoot[museum]("museum")
)

// dumped is the dump of a database.
func dumped(t testing.TB, path string) []byte {
	t.Helper()
	var out, notes bytes.Buffer
	if code := run(context.Background(), []string{"dump", path}, &out, &notes); code != exitOK || notes.Len() > 0 {
		t.Fatalf("dump exits with %d: %s", code, notes.Bytes())
	}
	return out.Bytes()
}

func loaded(dump []byte, path string, dangling bool) error {
	a := &app{out: bufio.NewWriter(io.Discard), err: io.Discard}
	return a.load(context.Background(), bytes.NewReader(dump), path, dangling)
}

const rooms, patrons = 700, 40

// makeMuseum makes a database with history, trees and tables, as a program does.
func makeMuseum(t *testing.T, path string) {
	t.Helper()
	db, err := durus.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		if err := db.Update(t.Context(), func(tx *durus.Tx) error {
			m := durus.Must(theMuseum.Edit(tx))
			m.Founded = time.Unix(5, 6).UTC()
			for i := range rooms {
				if err := m.Rooms.Put(tx, fmt.Sprintf("room %d", i), i+round); err != nil {
					return err
				}
			}
			if round > 0 {
				return nil
			}
			for i := range patrons {
				durus.Must(m.Owners.Insert(tx, fmt.Sprint(i), &patron{Name: fmt.Sprint("name ", i%7)}))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// A program finds everything in what was salvaged without a file header, and goes on.
func TestSalvageOfProgram(t *testing.T) {
	dir := t.TempDir()
	path, rescued := filepath.Join(dir, "a.durus"), filepath.Join(dir, "rescued.durus")
	makeMuseum(t, path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[:1024])
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"salvage", path, rescued}, &out, &out); code != exitProblems {
		t.Fatalf("exit code %d: %s", code, out.String())
	}
	out.Reset()
	if code := run(t.Context(), []string{"verify", rescued}, &out, &out); code != exitOK {
		t.Fatal(out.String())
	}
	checkMuseum(t, rescued)
}

// A program finds everything in what was loaded, also after packs, and goes on.
func TestDumpOfProgram(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.durus")
	makeMuseum(t, path)
	for round := range 2 {
		dump := dumped(t, path)
		copied := filepath.Join(dir, fmt.Sprintf("copy%d.durus", round))
		if err := loaded(dump, copied, false); err != nil {
			t.Fatal(err)
		}
		if again := dumped(t, copied); !bytes.Equal(again, dump) {
			t.Fatal("the dump of what was loaded is another one")
		}
		var out bytes.Buffer
		if code := run(ctx, []string{"verify", copied}, &out, &out); code != exitOK {
			t.Fatal(out.String())
		}
		checkMuseum(t, copied)
		if code := run(ctx, []string{"pack", path}, &out, &out); code != exitOK { // and the same of a packed one
			t.Fatal(out.String())
		}
	}
}

func checkMuseum(t *testing.T, path string) {
	t.Helper()
	db, err := durus.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(t.Context(), func(tx *durus.Tx) error {
		m := durus.Must(theMuseum.Load(tx))
		if n := durus.Must(m.Rooms.Len(tx)); n != rooms || !m.Founded.Equal(time.Unix(5, 6)) {
			return fmt.Errorf("%d rooms, %v", n, m.Founded)
		}
		for i := range rooms {
			if v, ok, err := m.Rooms.Get(tx, fmt.Sprintf("room %d", i)); err != nil || !ok || v != i+2 {
				return fmt.Errorf("room %d is %d: %v", i, v, err)
			}
		}
		for i := range patrons {
			if _, ok, err := m.Owners.Get(tx, fmt.Sprint(i)); err != nil || !ok {
				return fmt.Errorf("patron %d: %v %v", i, ok, err)
			}
		}
		_, err := m.Owners.Insert(tx, "new", &patron{Name: "new"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Records of any kind, as no program writes them, come back to the byte.
func TestDumpIsExact(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path, copied := filepath.Join(dir, fmt.Sprint(n)), filepath.Join(dir, fmt.Sprint(n, "copy"))
		writeRandom(t, path)
		dump := dumpedRapid(t, path)
		if err := loaded(dump, copied, true); err != nil {
			t.Fatal(err)
		}
		if again := dumpedRapid(t, copied); !bytes.Equal(again, dump) {
			t.Fatalf("%s\nis then\n%s", dump, again)
		}
		was, is := statesOf(t, path), statesOf(t, copied)
		if was != is {
			t.Fatalf("%s\nis then\n%s", was, is)
		}
	})
}

func dumpedRapid(t *rapid.T, path string) []byte {
	var out, notes bytes.Buffer
	if code := run(context.Background(), []string{"dump", path}, &out, &notes); code != exitOK {
		t.Fatalf("dump exits with %d: %s", code, notes.Bytes())
	}
	return out.Bytes()
}

// writeRandom writes objects whose payloads are bytes, msgpack or not.
func writeRandom(t *rapid.T, path string) {
	m := openMaker(path)
	var records []storage.Record
	var all []storage.OID
	for range rapid.IntRange(1, 6).Draw(t, "objects") {
		all = append(all, m.oid())
	}
	for i, oid := range all {
		payload := rapid.SampledFrom([][]byte{
			{0xc0}, {0xcd, 0, 1}, {0xc1}, {}, codec.AppendFloat32(nil, 0.1), codec.AppendReference(nil, uint64(oid), i%2 == 0),
			{0x82, 0xa1, 'a', 1, 0xa1, 'a', 2}, {0x81, 0xa2, '$', 'x', 0xd6, 1, 0, 0, 0, byte(all[0])}, {0xca, 0x7f, 0xc0, 0, 9},
		}).Draw(t, "payload")
		if rapid.Bool().Draw(t, "raw") {
			payload = rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "bytes")
		}
		rec := storage.Record{OID: oid, Class: m.class(storage.ClassName("any.Thing", i%3)), Codec: rapid.SampledFrom([]storage.Codec{1, 1, 1, 9}).Draw(t, "codec"), Payload: payload}
		rec.Strong, rec.Weak, _ = referencesOf(rec.Codec, payload)
		for _, r := range rec.Strong {
			if r > all[len(all)-1] || r == 0 {
				rec.Strong = nil
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "odd") == 0 {
			rec.Strong, rec.Weak = all[:i], all[i:]
		}
		for _, r := range rec.Weak {
			if r > all[len(all)-1] {
				rec.Weak = nil
			}
		}
		records = append(records, rec)
	}
	m.commit(storage.Meta{User: "x"}, records...)
	m.commit(storage.Meta{}, records[:1]...)
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
}

// statesOf is all that a database holds, as text.
func statesOf(t *rapid.T, path string) string {
	st, err := filestorage.Open(path, filestorage.Options{FS: posix.New(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	snap, err := st.Begin(context.Background(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	var b strings.Builder
	o := st.Outline(snap)
	fmt.Fprintln(&b, o.ID, o.Generation, o.High, snap.TID())
	for place, err := range snap.Objects(1) {
		if err != nil {
			t.Fatal(err)
		}
		rec, err := snap.Read(place.OID, place.Position)
		if err != nil {
			t.Fatal(err)
		}
		tid, at, err := st.Writer(snap, place.OID, place.Position)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := snap.ClassName(rec.Class)
		fmt.Fprintf(&b, "%s %s %d %x %v %v %s %v\n", rec.OID, name, rec.Codec, rec.Payload, rec.Strong, rec.Weak, tid, at)
	}
	return b.String()
}

// A dump that was cut anywhere, or in which a byte is another one, is refused,
// and leaves no file.
func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bank.durus")
	if err := makeBank(path, ""); err != nil {
		t.Fatal(err)
	}
	dump := dumped(t, path)
	refused := func(what string, text []byte) {
		t.Helper()
		to := filepath.Join(dir, "new.durus")
		err := loaded(text, to, false)
		if err == nil {
			t.Errorf("%s: accepted", what)
		} else if !strings.Contains(err.Error(), "line ") && !strings.Contains(err.Error(), "durus:") {
			t.Errorf("%s: %v", what, err)
		}
		if left, err := filepath.Glob(to + "*"); err != nil || len(left) > 0 {
			t.Fatalf("%s: %v are left", what, left)
		}
	}
	for n := 0; n < len(dump); n += 7 {
		refused(fmt.Sprintf("cut at %d", n), dump[:n])
	}
	for n := 0; n < len(dump); n += 3 {
		changed := bytes.Clone(dump)
		changed[n] ^= 1
		refused(fmt.Sprintf("byte %d changed", n), changed)
	}
	refused("twice", append(bytes.Clone(dump), dump...))
	lines := bytes.SplitAfter(dump, []byte("\n"))
	for i := range lines[:len(lines)-1] {
		refused(fmt.Sprintf("without line %d", i+1), bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil))
	}
	if err := loaded(dump, path, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto a database: %v", err)
	}
}

// FuzzLoad loads arbitrary text behind a good header: no panic, and what is
// accepted verifies.
func FuzzLoad(f *testing.F) {
	const head = `{"durus_dump":1,"id":"30313233343536373839616263646566","generation":0,"tid":"17","high":"40"}` + "\n"
	const class = `{"class":"a.B"}` + "\n"
	f.Add(class + `{"oid":"1","class":"a.B","codec":1,"tid":"1","time":5,"value":[{"$ref":"2"},1.5]}` + "\n")
	f.Add(class + `{"oid":"1","class":"a.B","codec":1,"tid":"1","time":5,"strong":["2"],"weak":[""],"payload":"wA=="}` + "\n")
	f.Add(class + `{"oid":"39","class":"a.B","codec":9,"tid":"18","time":-5,"payload":""}` + "\n" + class)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "x.durus")
		text = head + text
		a := &app{out: bufio.NewWriter(io.Discard), err: io.Discard}
		l := loaderOf(strings.NewReader(text))
		var h dumpHeader
		if err := l.begin(&h); err != nil {
			t.Fatal(err)
		}
		var err error
		if l.b, err = filestorage.NewBuilder(posix.New(), path, filestorage.Outline{TID: h.TID, High: h.High}); err != nil {
			t.Fatal(err)
		}
		for done := false; !done && err == nil; {
			done, err = l.next()
		}
		if err := l.b.Commit(); err != nil { // as if the end was right
			t.Fatal(err)
		}
		r, err := a.report(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Problems {
			if strings.Contains(p.Reason, "checksum") || strings.Contains(p.Reason, "frame") {
				t.Errorf("%v", p)
			}
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
}

// What is no dump is told by its first byte, however long its first line is.
func TestLoadOfEndlessLine(t *testing.T) {
	in := &io.LimitedReader{R: zeros{}, N: 1 << 40}
	l := loaderOf(in)
	if err := l.fault(l.begin(new(dumpHeader))); !strings.Contains(err.Error(), "line 1 of the dump: no dump") {
		t.Error(err)
	}
	if read := 1<<40 - in.N; read > 1<<16 {
		t.Errorf("%d bytes were read", read)
	}
}

// zeros is /dev/zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
