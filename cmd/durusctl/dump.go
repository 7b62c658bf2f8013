package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

func (a *app) dumpCommand() *cobra.Command {
	return fileArgs(&cobra.Command{
		Use:   "dump FILE",
		Short: "Write a database as JSON Lines",
		Long: `Write the newest states of all objects as JSON, one a line, without the Go
types. durusctl load makes the same database of it: object ids, class names with
versions, references, states to the byte, and for each the transaction that
wrote it and its time. Not in it are history and what transactions say of
themselves.

The first line is {"durus_dump":1, id, generation, tid, high}: the newest
transaction and the first free object id. Then comes {"class":NAME} for each
class, and for each object {oid, class, codec, tid, time, value}; time is in
microseconds since 1970. The last line is {"end", classes, objects, sha256}: the
checksum of all bytes before that line.

In a value JSON means itself; numbers with a point or an exponent are float64,
others integers. Objects of one name that begins with $ are what JSON has not:
$ref and $weak (references), $bin (bytes), $time, $f32, $f64 (NaN and
infinities), $str (not UTF-8), $map (other keys than strings). A state that is
not to be written so has "payload" in place of "value", in base64, and
references that its state does not tell are in "strong" and "weak".`,
		Example: `  durusctl dump bank.durus | gzip > bank.dump.gz
  durusctl dump bank.durus | jq -c 'select(.class == "bank.Account") | .value'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.dump(cmd.Context(), args[0])
		},
	}, 0)
}

// dumpVersion is that of the lines below. Names are never changed.
const dumpVersion = 1

type dumpHeader struct {
	Version    int         `json:"durus_dump"`
	ID         string      `json:"id"`
	Generation uint64      `json:"generation"`
	TID        storage.TID `json:"tid"`
	High       storage.OID `json:"high"`
}

type dumpClass struct {
	Class string `json:"class"`
}

type dumpObject struct {
	OID     storage.OID     `json:"oid"`
	Class   string          `json:"class"`
	Codec   storage.Codec   `json:"codec"`
	TID     storage.TID     `json:"tid"`
	Time    int64           `json:"time"`
	Strong  *[]storage.OID  `json:"strong,omitempty"` // absent: what the payload says
	Weak    *[]storage.OID  `json:"weak,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Payload *[]byte         `json:"payload,omitempty"`
}

type dumpTrailer struct {
	End     bool   `json:"end"`
	Classes int    `json:"classes"`
	Objects int    `json:"objects"`
	SHA256  string `json:"sha256"`
}

// maxLine is how long a line of a dump may be, in bytes: what is longer load
// does not read, and dump does not write.
const maxLine = 1<<31 - 1

// dumper writes the lines.
type dumper struct {
	out              io.Writer
	sum              hash.Hash
	classes, objects int
	text             []byte // memory for values
}

func (d *dumper) line(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	if b.Len() > maxLine {
		return fmt.Errorf("%w: a line of %d bytes, the limit is %d", storage.ErrTooLarge, b.Len(), maxLine)
	}
	d.sum.Write(b.Bytes())
	_, err := d.out.Write(b.Bytes())
	return err
}

func (a *app) dump(ctx context.Context, path string) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	snap, err := st.Begin(ctx, false) // a dump of a part would be taken for the whole
	if err != nil {
		return err
	}
	defer snap.Release()
	d := &dumper{out: a.out, sum: sha256.New()}
	o := st.Outline(snap)
	if err := d.line(dumpHeader{dumpVersion, hex.EncodeToString(o.ID[:]), o.Generation, o.TID, o.High}); err != nil {
		return err
	}
	for id := storage.ClassID(1); ; id++ {
		name, ok := snap.ClassName(id)
		if !ok {
			break
		}
		d.classes++
		if err := d.line(dumpClass{name}); err != nil {
			return err
		}
	}
	bar := a.progress("dump")
	bar.unit = objectCount
	defer bar.end()
	total := int64(st.Stats().Objects)
	for place, err := range snap.Objects(1) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = d.object(st, snap, place)
		}
		if err != nil {
			return err
		}
		bar.update(min(int64(d.objects), total), total)
	}
	return d.line(dumpTrailer{true, d.classes, d.objects, hex.EncodeToString(d.sum.Sum(nil))})
}

// object writes the line of an object.
func (d *dumper) object(st *filestorage.Storage, snap storage.Snapshot, place storage.Place) error {
	rec, err := snap.Read(place.OID, place.Position)
	if err != nil {
		return err
	}
	j := dumpObject{OID: rec.OID, Codec: rec.Codec}
	var ok bool
	if j.Class, ok = snap.ClassName(rec.Class); !ok {
		return fmt.Errorf("object %s is of class number %d, which has no name: durusctl salvage gives it one", rec.OID, rec.Class)
	}
	tid, at, err := st.Writer(snap, place.OID, place.Position)
	if err != nil {
		return err
	}
	j.TID, j.Time = tid, at.UnixMicro()
	if !d.readable(&rec) {
		j.Payload = &rec.Payload
	} else {
		j.Value = d.text
	}
	strong, weak, err := referencesOf(rec.Codec, rec.Payload)
	if err != nil || !slices.Equal(strong, rec.Strong) || !slices.Equal(weak, rec.Weak) {
		strong, weak = orEmpty(rec.Strong), orEmpty(rec.Weak)
		j.Strong, j.Weak = &strong, &weak
	}
	d.objects++
	return d.line(&j)
}

// readable makes d.text the state of an object as JSON, if that can be taken back.
func (d *dumper) readable(rec *storage.Record) bool {
	if rec.Codec != storage.CodecMsgpack {
		return false
	}
	var err error
	if d.text, err = codec.AppendText(d.text[:0], rec.Payload); err != nil || len(d.text) > 2*len(rec.Payload)+maxLine/8 {
		return false
	}
	back, err := codec.ParseText(d.text)
	return err == nil && bytes.Equal(back, rec.Payload)
}

// referencesOf returns what a payload refers to, as its record lists it: each
// once, in the order of their first appearance.
func referencesOf(c storage.Codec, payload []byte) (strong, weak []storage.OID, err error) {
	if c != storage.CodecMsgpack {
		return nil, nil, nil
	}
	var seen [2]map[uint64]struct{}
	err = codec.References(payload, func(oid uint64, isWeak bool) {
		list, i := &strong, 0
		if isWeak {
			list, i = &weak, 1
		}
		if seen[i] == nil {
			seen[i] = make(map[uint64]struct{})
		}
		if _, ok := seen[i][oid]; !ok {
			seen[i][oid] = struct{}{}
			*list = append(*list, storage.OID(oid))
		}
	})
	return strong, weak, err
}
