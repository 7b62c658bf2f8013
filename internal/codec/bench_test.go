package codec_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
)

// account is the usual small object: at most 300 ns to encode, 900 ns to decode.
type account struct {
	Owner   string
	Balance int64
	Opened  time.Time
	Parent  Ref[account]
	Active  bool
}

func anAccount() account {
	return account{"ada lovelace", 123456, time.Unix(1700000000, 5).UTC(), ref[account](tagged(12345)), true}
}

func BenchmarkEncode(b *testing.B) {
	v, p := anAccount(), compile[account](b)
	var w codec.Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		if err := p.Encode(&w, &v, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	v, p := anAccount(), compile[account](b)
	payload := encode(b, v, nil)
	b.ReportAllocs()
	for b.Loop() {
		v = account{}
		if _, err := p.Decode(payload, tag, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	payload := encode(b, anAccount(), nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := codec.Scan(payload); err != nil {
			b.Fatal(err)
		}
	}
}

type treeNode struct {
	Keys   []string
	Values []Ref[account]
	Index  map[string]int
}

func aTreeNode() treeNode {
	n := treeNode{Index: map[string]int{}}
	for i := range 64 {
		n.Keys = append(n.Keys, "key number "+string(rune('0'+i)))
		n.Values = append(n.Values, ref[account](tagged(uint64(i+1))))
		if i < 8 {
			n.Index[n.Keys[i]] = i
		}
	}
	return n
}

func BenchmarkEncodeTreeNode(b *testing.B) {
	v, p := aTreeNode(), compile[treeNode](b)
	var w codec.Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset()
		if err := p.Encode(&w, &v, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeTreeNode(b *testing.B) {
	v, p := aTreeNode(), compile[treeNode](b)
	payload := encode(b, v, nil)
	b.ReportAllocs()
	for b.Loop() {
		v = treeNode{}
		if _, err := p.Decode(payload, tag, &v); err != nil {
			b.Fatal(err)
		}
	}
}

// For comparison: msgpack's own walk, with what it needs to be deterministic.
func BenchmarkMsgpackEncode(b *testing.B) {
	v := struct {
		Owner   string
		Balance int64
		Opened  time.Time
		Parent  uint64
		Active  bool
	}{"ada lovelace", 123456, time.Unix(1700000000, 5).UTC(), 12345, true}
	var buf bytes.Buffer
	e := msgpack.NewEncoder(&buf)
	e.UseCompactInts(true)
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := e.Encode(&v); err != nil {
			b.Fatal(err)
		}
	}
}

// An older program reads and writes an object of a newer one.
func BenchmarkUnknownField(b *testing.B) {
	type older struct {
		Owner   string
		Balance int64
		Opened  time.Time
		Active  bool
	}
	payload := encode(b, anAccount(), nil)
	p := compile[older](b)
	var w codec.Writer
	b.ReportAllocs()
	for b.Loop() {
		var v older
		x, err := p.Decode(payload, tag, &v)
		if err != nil {
			b.Fatal(err)
		}
		w.Reset()
		if err := p.Encode(&w, &v, x); err != nil {
			b.Fatal(err)
		}
	}
}
