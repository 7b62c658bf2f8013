package durus

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/durusdb/durus/storage"
)

// What the storage gets is what was put aside, in the order of the object ids,
// in whatever order it was put aside and is read.
func TestSpilledRecords(t *testing.T) {
	db := beds["memory"](t).db(Options{CacheBytes: 100 << 10})
	s := newSpilled(db)
	defer s.file.close()
	info := db.opts.Types.byClass("test.Large")
	const n = 3000
	payloads, refs := map[OID][]byte{}, map[OID][]uint64{}
	put := func(oid OID) {
		payloads[oid] = bytes.Repeat([]byte{byte(oid)}, 1+rand.IntN(400))
		refs[oid] = nil
		for range rand.IntN(4) {
			refs[oid] = append(refs[oid], rand.Uint64N(1<<40))
		}
		if rand.IntN(1000) == 0 {
			refs[oid] = make([]uint64, 2*refPiece)
		}
		weak := min(1, len(refs[oid]))
		s.set(oid, s.add(&edited{oid: oid, info: info, fresh: true}, payloads[oid], refs[oid][weak:], refs[oid][:weak]))
	}
	order := rand.Perm(n)
	slices.Sort(order[:n/2])
	for _, i := range order {
		put(OID(i + 2))
	}
	// What is rolled back is gone, and its room is used again.
	s.keeping = true
	m := s.mark()
	for i := range 2 * itemPiece {
		s.set(OID(i+2), s.add(&edited{oid: OID(i + 2), info: info, fresh: true}, make([]byte, 50), []uint64{7}, nil))
	}
	s.back(m)
	s.cut(m)
	if s.mark() != m {
		t.Errorf("%+v is left, not %+v", s.mark(), m)
	}
	for i := range n / 3 {
		put(OID(3*i + 2))
	}

	s.begin(1)
	for i := range n {
		s.reach(OID(i+2), 1)
		s.reach(OID(i+2), 1)
	}
	out, err := s.toStore(t.Context(), &core{work: new(work), db: db, gen: db.current.Load()})
	if err != nil {
		t.Fatal(err)
	}
	if out.Len() != n {
		t.Fatalf("%d records", out.Len())
	}
	if s.file.inFile == 0 || len(s.file.tail) == 0 {
		t.Errorf("%d bytes are in the file, %d in memory", s.file.inFile, len(s.file.tail))
	}
	check := func(i int) {
		r := out.Record(i)
		p := make([]byte, r.Size)
		if err := out.ReadPayload(i, p); err != nil {
			t.Fatal(err)
		}
		all := refs[r.OID]
		weak := min(1, len(all))
		if r.OID != OID(i+2) || !bytes.Equal(p, payloads[r.OID]) || r.Sum != crc32.Checksum(p, castagnoli) || r.Codec != storage.CodecMsgpack || r.Class == 0 ||
			!slices.EqualFunc(r.Strong, all[weak:], func(a OID, b uint64) bool { return a == OID(b) }) || len(r.Weak) != weak {
			t.Fatalf("record %d is another one: %+v", i, r)
		}
	}
	for i := range n {
		check(i)
	}
	for range n {
		from := rand.IntN(n)
		for i := from; i < min(n, from+rand.IntN(5)); i++ {
			check(i)
		}
	}
}
