package filestorage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/mem"
)

const rescuedPath = "/rescued.durus"

// salvaged salvages bytes, with a mark if it is not nil, and returns the new
// file and the report.
func salvaged(data, mark []byte, tail bool) ([]byte, *SalvageReport, error) {
	d := mem.NewVolatile()
	if err := d.WriteFile(worldPath, bytes.Clone(data)); err != nil {
		return nil, nil, err
	}
	if mark != nil {
		if err := d.WriteFile(lockName(worldPath), bytes.Clone(mark)); err != nil {
			return nil, nil, err
		}
	}
	now := func() time.Time { return time.UnixMicro(1_900_000_000_000_000) }
	r, err := Salvage(context.Background(), SalvageOptions{FS: d.Process("S"), In: worldPath, Out: rescuedPath, Tail: tail, Now: now})
	if after, rerr := d.ReadFile(worldPath); rerr != nil || !bytes.Equal(after, data) {
		return nil, nil, errors.Join(errors.New("the damaged file was changed"), rerr)
	}
	if err != nil {
		if _, rerr := d.ReadFile(rescuedPath); !errors.Is(rerr, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("after %v there is a new file: %v", err, rerr)
		}
		return nil, nil, err
	}
	out, err := d.ReadFile(rescuedPath)
	if err == nil {
		err = usable(d)
	}
	return out, r, err
}

// usable is nil when a salvaged file verifies, but for references to what was
// lost, and a program can go on with it.
func usable(d *mem.Disk) error {
	s, err := Open(rescuedPath, simulated(d.Process("U")))
	if err != nil {
		return err
	}
	defer s.Close()
	for range 2 {
		v, err := s.Verify(context.Background(), nil)
		if err != nil {
			return err
		}
		for _, p := range v.Problems {
			if !strings.Contains(p.Reason, "which does not exist") {
				return fmt.Errorf("verify: %v", p)
			}
		}
		if v.Tail != 0 {
			return fmt.Errorf("a tail of %d bytes", v.Tail)
		}
		oid, err := s.NewOID(context.Background())
		if err != nil {
			return err
		}
		class, err := s.ClassID(context.Background(), "after.Salvage")
		if err != nil {
			return err
		}
		snap, err := s.Begin(context.Background(), true)
		if err != nil {
			return err
		}
		_, err = s.Commit(context.Background(), &storage.Commit{Base: snap, Records: []storage.Record{{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: []byte{0xc0}}}})
		snap.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// told is a transaction as a test reads it, straight from the bytes.
type told struct {
	pos, end int64
	tid      storage.TID
	time     int64
	meta     storage.Meta
	states   map[storage.OID]string // class and payload
}

// readTold reads what a file that is in order says.
func readTold(t testing.TB, data []byte) (txs []told, newest map[storage.OID]string) {
	t.Helper()
	h, err := parseHeader("x", data[:headerSize], int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	newest = make(map[storage.OID]string)
	names := map[storage.ClassID]string{}
	sc := scanner{salt: h.Salt, win: memWindow(data, 0)}
	for c := h.chain(); c.pos < int64(len(data)); {
		f, v, reason, err := sc.next(c, true, true)
		if err != nil || v != verdictWhole {
			t.Fatalf("byte %d: %s %v", c.pos, reason, err)
		}
		if f.kind == kindClass {
			names[storage.ClassID(binary.LittleEndian.Uint32(f.meta))] = string(f.meta[4:])
		}
		x := told{pos: f.pos, end: f.end(), tid: f.tid, time: f.time, states: make(map[storage.OID]string)}
		for i := range f.records {
			raw := data[f.recordPos(i) : f.pos+f.off(i+1)]
			var r recordHeader
			r.get(raw)
			x.states[r.oid] = names[r.class] + ":" + string(raw[recordHeaderSize:])
			newest[r.oid] = x.states[r.oid]
		}
		if f.kind == kindTransaction {
			x.meta, _ = parseMeta(f.meta)
			txs = append(txs, x)
		}
		c = c.after(&f)
	}
	return txs, newest
}

// S58
func TestSalvageOfUndamaged(t *testing.T) {
	sm := newSample(t, 32<<10)
	for _, tail := range []string{"", "x", strings.Repeat("\x00", 5000), string(sm.data[2000:9000])} {
		for _, mark := range [][]byte{sm.mark, nil} {
			out, r, err := salvaged(append(bytes.Clone(sm.data), tail...), mark, false)
			if err != nil {
				t.Fatal(err)
			}
			if tail == string(sm.data[2000:9000]) { // a piece of itself behind its end
				if r.Identical || !r.Complete() {
					t.Errorf("%+v", r)
				}
				continue
			}
			if !r.Identical || !r.Complete() || r.Tail != int64(len(tail)) || !bytes.Equal(out, sm.data) {
				t.Errorf("a tail of %d bytes: %+v", len(tail), r)
			}
		}
	}
	// A commit that was interrupted anywhere.
	txs, _ := readTold(t, sm.data)
	last := txs[len(txs)-1]
	for n := last.pos + 1; n < last.end; n += 13 {
		out, r, err := salvaged(sm.data[:n], nil, false)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Identical || r.Tail != n-last.pos || !bytes.Equal(out, sm.data[:last.pos]) {
			t.Fatalf("cut at %d: %+v", n, r)
		}
		if _, r, err = salvaged(sm.data[:n], sm.mark, false); err != nil || r.Complete() || r.MissingBytes == 0 {
			t.Fatalf("cut at %d, with a mark: %+v %v", n, r, err)
		}
	}
	// One copy of the header.
	for _, at := range []int{3, 20, 600, 700} {
		data := bytes.Clone(sm.data)
		data[at] ^= 1
		out, r, err := salvaged(data, nil, false)
		if err != nil || !r.HeaderRepaired || !r.Complete() || !bytes.Equal(out, sm.data) {
			t.Errorf("byte %d: %+v %v", at, r, err)
		}
	}
}

// judge holds a salvaged file against the one that was damaged.
func (sm *sample) judge(t testing.TB, data, out []byte, r *SalvageReport) {
	t.Helper()
	want, newest := readTold(t, sm.data)
	got, states := readTold(t, out)
	byTID := make(map[storage.TID]told)
	for _, x := range got {
		byTID[x.tid] = x
	}
	known := make(map[storage.OID]map[string]bool) // every state that an object had
	whole := make(map[storage.OID]bool)            // its newest is in an undamaged frame
	for _, x := range want {
		intact := bytes.Equal(data[x.pos:x.end], sm.data[x.pos:x.end])
		y, ok := byTID[x.tid]
		if intact && (!ok || y.time != x.time || !reflect.DeepEqual(y.meta, x.meta) || len(r.Classes) == 0 && !reflect.DeepEqual(y.states, x.states)) {
			t.Fatalf("transaction %s, which is undamaged, is %+v, want %+v (there: %v)", x.tid, y, x, ok)
		}
		for oid, s := range x.states {
			if known[oid] == nil {
				known[oid] = make(map[string]bool)
			}
			known[oid][s] = true
			whole[oid] = intact
		}
	}
	if len(r.Classes) > 0 {
		return
	}
	for oid, s := range states {
		if !known[oid][s] && oid != rootOID {
			t.Fatalf("object %s has a state that it never had", oid)
		}
	}
	for oid := range known {
		if whole[oid] && states[oid] != newest[oid] {
			t.Fatalf("object %s is not in its newest state, which is undamaged", oid)
		}
	}
	if r.DanglingTotal == 0 {
		return
	}
	for _, d := range r.Dangling {
		if _, ok := states[d.To]; ok {
			t.Fatalf("object %s is called missing, and is there", d.To)
		}
	}
}

// TestSalvageOneBlock destroys blocks of a file at random places, as ZODB's
// testOneBlock does. S57
func TestSalvageOneBlock(t *testing.T) {
	sm := newSample(t, 128<<10)
	rounds := 60
	if testing.Short() {
		rounds = 8
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, c := range []struct {
		blocks, size int
		header       bool
	}{{1, 1024, false}, {4, 512, false}, {1, 32 << 10, false}, {1, 1, false}, {1, 1024, true}} {
		for round := range rounds {
			data := bytes.Clone(sm.data)
			for range c.blocks {
				at := headerSize + rng.IntN(len(data)-headerSize-c.size)
				for i := range c.size {
					switch round % 3 {
					case 0:
						data[at+i] = 0
					case 1:
						data[at+i] = byte(rng.Uint32())
					default:
						data[at+i] ^= 0x10
					}
				}
			}
			if c.header {
				for i := range headerSize {
					data[i] = byte(rng.Uint32())
				}
			}
			var mark []byte
			if round%2 == 0 {
				mark = sm.mark
			}
			out, r, err := salvaged(data, mark, round%4 == 1)
			if err != nil {
				t.Fatalf("%+v: %v", c, err)
			}
			sm.judge(t, data, out, r)
			if r.Complete() && r.Tail == 0 && !bytes.Equal(data, sm.data) {
				t.Fatalf("%+v: nothing is said to be lost: %+v", c, r)
			}
			if r.HeaderLost != c.header {
				t.Fatalf("%+v: %+v", c, r)
			}
		}
	}
}

// TestSalvageEveryBit flips bits of a small file, one at a time.
func TestSalvageEveryBit(t *testing.T) {
	sm := newSample(t, 8<<10)
	step := 7
	if testing.Short() {
		step = 101
	}
	if tortured() {
		step = 1
	}
	for bit := 0; bit < 8*len(sm.data); bit += step {
		data := bytes.Clone(sm.data)
		data[bit/8] ^= 1 << (bit % 8)
		out, r, err := salvaged(data, sm.mark, false)
		if err != nil {
			t.Fatalf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
		sm.judge(t, data, out, r)
		if r.Identical {
			t.Fatalf("bit %d of byte %d: %+v", bit%8, bit/8, r)
		}
	}
}

// Pieces are cut out, put in, copied and mixed: what lies elsewhere is found.
func TestSalvageOfPieces(t *testing.T) {
	sm, other := newSample(t, 48<<10), newSample(t, 24<<10)
	txs, _ := readTold(t, sm.data)
	a, b := txs[len(txs)/3], txs[2*len(txs)/3]
	cases := []struct {
		name     string
		data     []byte
		complete bool
		from, to int64 // of the old file: what is not in data
		header   bool  // it is there
	}{
		{"cut out", slices.Concat(sm.data[:a.pos], sm.data[b.pos:]), false, a.pos, b.pos, true},
		{"cut inside frames", slices.Concat(sm.data[:a.pos+110], sm.data[b.pos+100:]), false, a.pos, b.end, true},
		{"front cut off", sm.data[b.pos-3:], false, 0, b.pos, false},
		{"header cut off", sm.data[headerSize:], false, 0, headerSize, false},
		{"put in", slices.Concat(sm.data[:a.pos], make([]byte, 4096), sm.data[a.pos:]), true, 0, 0, true},
		{"another database between", slices.Concat(sm.data[:a.pos], other.data, sm.data[a.pos:]), true, 0, 0, true},
		{"another database over it", slices.Concat(sm.data[:a.pos], other.data[:b.pos-a.pos], sm.data[b.pos:]), false, a.pos, b.pos, true},
		{"another one's header", slices.Concat(other.data[:headerSize], sm.data[headerSize:]), false, 0, headerSize, false},
		{"a copy of a piece", slices.Concat(sm.data[:b.pos], sm.data[a.pos:b.pos], sm.data[b.pos:]), true, 0, 0, true},
		{"pieces in the wrong order", slices.Concat(sm.data[:a.pos], sm.data[b.pos:], sm.data[a.pos:b.pos]), true, 0, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, r, err := salvaged(c.data, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			if r.Complete() != c.complete || r.HeaderLost == c.header {
				t.Errorf("%+v", r)
			}
			left := bytes.Clone(sm.data)
			clear(left[c.from:c.to])
			sm.judge(t, left, out, r)
			if got, _ := readTold(t, out); c.complete && len(got) != len(txs) {
				t.Errorf("%d of %d transactions", len(got), len(txs))
			}
		})
	}
}

// What no database is in.
func TestSalvageOfNothing(t *testing.T) {
	header := fuzzHeader.encode()
	for name, data := range map[string][]byte{
		"empty": {}, "zeroes": make([]byte, 100<<10), "text": []byte(strings.Repeat("once upon a time ", 999)), "half a header": header[:200],
		"damaged header": append(make([]byte, 40), header[40:550]...),
	} {
		if _, _, err := salvaged(data, nil, false); !typed(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, r, err := salvaged(header, nil, false)
	if err != nil || !r.Identical || !bytes.Equal(out, header) {
		t.Errorf("an empty database: %+v %v", r, err)
	}
	d := mem.NewVolatile()
	for _, name := range []string{worldPath, rescuedPath} {
		if err := d.WriteFile(name, bytes.Clone(header)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Salvage(t.Context(), SalvageOptions{FS: d.Process("S"), In: worldPath, Out: rescuedPath}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into a file that is there: %v", err)
	}
	if _, err := Salvage(t.Context(), SalvageOptions{FS: d.Process("S"), In: "/none", Out: "/new"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a file that is not there: %v", err)
	}
}

// kinder is a database with a root directory, two accounts and a class of their
// own, whose frames a test may destroy: it returns their bounds by what they are.
func kinder(t *testing.T) (data []byte, at map[string][2]int64) {
	t.Helper()
	c := chain{pos: headerSize, sum: fuzzHeader.checksum()}
	last := map[storage.OID]storage.Position{}
	data, at = fuzzHeader.encode(), map[string][2]int64{}
	add := func(name string, tid storage.TID, d *draft) {
		d.seal(place{pos: c.pos, tid: tid, time: 5, salt: fuzzHeader.Salt, durable: c.pos, prev: c.sum}, func(o storage.OID) storage.Position { return last[o] })
		for _, r := range d.records {
			last[r.oid] = storage.Position(c.pos + r.off)
		}
		data = append(data, d.buf...)
		at[name] = [2]int64{c.pos, d.header.end()}
		c.pos, c.sum = d.header.end(), d.header.sum
	}
	transaction := func(recs ...storage.Record) *draft {
		d := new(draft)
		if err := d.encode(recs, &storage.Meta{User: "u"}); err != nil {
			t.Fatal(err)
		}
		return d
	}
	rec := func(oid storage.OID, class storage.ClassID, text string, strong ...storage.OID) storage.Record {
		return storage.Record{OID: oid, Class: class, Codec: storage.CodecMsgpack, Payload: append([]byte{0xa0 | byte(len(text))}, text...), Strong: strong}
	}
	add("class 1", 0, newClassDraft(1, rootClass))
	add("class 2", 0, newClassDraft(2, "bank.Account"))
	add("lease", 0, newLeaseDraft(firstOID, 64))
	add("t1", 10, transaction(directoryOf([]storage.OID{2, 3}, 1), rec(2, 2, "two", 4), rec(3, 2, "three"), rec(4, 2, "four")))
	add("t2", 11, transaction(rec(3, 2, "three again", 40), rec(4, 2, "four again")))
	add("t3", 12, transaction(rec(2, 2, "two again", 4)))
	return data, at
}

// zeroed returns data without the frames of these names.
func zeroed(data []byte, at map[string][2]int64, names ...string) []byte {
	data = bytes.Clone(data)
	for _, n := range names {
		clear(data[at[n][0]:at[n][1]])
	}
	return data
}

// What is made up, and what is said of it, when certain frames are lost.
func TestSalvageTells(t *testing.T) {
	data, at := kinder(t)
	t1, t2 := at["t1"][0], at["t2"][0]
	half := bytes.Clone(data)
	half[bytes.Index(half, []byte("three again"))] ^= 1
	header := bytes.Clone(data) // of the frame, not of its records
	clear(header[t2 : t2+frameHeaderSize])
	rootless := bytes.Clone(data)
	rootless[bytes.Index(rootless, []byte("lost1"))] ^= 1
	for _, c := range []struct {
		name   string
		data   []byte
		states map[storage.OID]string // those that count
		check  func(r *SalvageReport) bool
	}{
		{"a class", zeroed(data, at, "class 2"), map[storage.OID]string{2: "lost.class2:two again", 3: "lost.class2:three again"},
			func(r *SalvageReport) bool { return slices.Equal(r.Classes, []string{"lost.class2"}) }},
		{"the class of the root directory", zeroed(data, at, "class 1"), map[storage.OID]string{2: "bank.Account:two again"},
			func(r *SalvageReport) bool { return len(r.Classes) == 0 && r.Root == RootKept }},
		{"a record", half, map[storage.OID]string{2: "bank.Account:two again", 3: "bank.Account:three", 4: "bank.Account:four again"},
			func(r *SalvageReport) bool {
				return slices.Equal(r.Partial, []storage.TID{11}) && slices.Equal(r.Older, []storage.OID{3}) && r.LostTotal == 0 && r.Orphans == 0
			}},
		{"the header of a frame", header, map[storage.OID]string{3: "bank.Account:three again", 4: "bank.Account:four again"},
			func(r *SalvageReport) bool {
				return r.Orphans == 2 && r.PartialTotal == 0 && slices.Equal(r.Dangling, []DanglingReference{{3, 40}})
			}},
		{"the root directory", rootless, map[storage.OID]string{2: "bank.Account:two again", 3: "bank.Account:three again"},
			func(r *SalvageReport) bool {
				return r.Root == RootMade && r.Named == 2 && r.Unnamed == 0 && r.OlderTotal+r.LostTotal == 0
			}},
		{"the first transaction", zeroed(data, at, "t1"), map[storage.OID]string{3: "bank.Account:three again"},
			func(r *SalvageReport) bool {
				return r.Root == RootMade && slices.Equal(r.Missing, []Range{{t1, t2}}) && r.Objects == 4
			}},
		{"the leases", zeroed(data, at, "lease", "t1"), map[storage.OID]string{2: "bank.Account:two again"},
			func(r *SalvageReport) bool { return r.MissingBytes == 112+t2-t1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, r, err := salvaged(c.data, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			if r.Complete() || !c.check(r) {
				t.Errorf("%+v", r)
			}
			_, states := readTold(t, out)
			for oid, want := range c.states {
				class, text, _ := strings.Cut(want, ":")
				if got := states[oid]; !strings.HasPrefix(got, class+":") || !strings.HasSuffix(got, text) {
					t.Errorf("object %s is %q, want %q", oid, got, want)
				}
			}
			h, err := parseHeader("x", out, int64(len(out)))
			if err != nil || h.HighOID <= 41 && states[3] != "" && strings.HasSuffix(states[3], "again") {
				t.Errorf("object 40, which is referred to, could be given out: %d %v", h.HighOID, err)
			}
		})
	}
}

// FuzzSalvage salvages arbitrary bytes: it ends, soon, and what comes out is a
// database that a program can go on with.
func FuzzSalvage(f *testing.F) {
	frames := fuzzFrames()
	f.Add(frames, true, false, false)
	f.Add(frames[:len(frames)-7], true, false, true)
	f.Add(frames, false, true, false)
	f.Add(frames[200:], false, false, true)
	f.Add(bytes.Repeat(frames[:300], 5), true, true, true)
	hole := bytes.Clone(frames)
	clear(hole[300:400])
	f.Add(hole, true, false, false)
	f.Add(hole, true, true, true)
	f.Fuzz(func(t *testing.T, b []byte, header, seal, tail bool) {
		if len(b) > 1<<16 {
			return
		}
		if seal {
			b = bytes.Clone(b)
			reseal(b, headerSize)
		}
		if header {
			b = append(fuzzHeader.encode(), b...)
		}
		_, _, err := salvaged(b, nil, tail)
		if err != nil && !typed(err) && !errors.Is(err, storage.ErrTooLarge) {
			t.Error(err)
		}
	})
}
