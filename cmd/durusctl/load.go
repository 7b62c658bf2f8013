package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func (a *app) loadCommand() *cobra.Command {
	var dangling bool
	cmd := fileArgs(&cobra.Command{
		Use:   "load FILE [--dangling] [--json]",
		Short: "Make a database of what dump has written",
		Long: `Read JSON Lines, as durusctl dump writes them, from standard input, and make the
database FILE of them, which must not exist. It appears when all of it is on the
disk; after an error there is none. A dump that was cut or changed is refused,
and so are references to objects that are not in it, unless --dangling says that
the database had them. It is the same database: two of them with the same id
must not be used as one.

JSON: classes, objects.`,
		Example: `  gunzip < bank.dump.gz | durusctl load bank.durus && durusctl verify bank.durus`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.load(cmd.Context(), os.Stdin, args[0], dangling)
		},
	}, 0)
	cmd.Flags().BoolVar(&dangling, "dangling", false, "accept references to objects that are not there")
	return cmd
}

type loadJSON struct {
	Classes int `json:"classes"`
	Objects int `json:"objects"`
}

func (a *app) load(ctx context.Context, in io.Reader, path string, dangling bool) (err error) {
	l := loaderOf(in)
	var h dumpHeader
	if err := l.begin(&h); err != nil {
		return l.fault(err)
	}
	o := filestorage.Outline{Generation: h.Generation, TID: h.TID, High: h.High}
	id, err := hex.DecodeString(h.ID)
	if err != nil || copy(o.ID[:], id) != len(o.ID) || len(id) != len(o.ID) {
		return l.fault(fmt.Errorf("%q is not the id of a database", h.ID))
	}
	if l.b, err = filestorage.NewBuilder(posix.New(), path, o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.b.Abort()) }() // does nothing after Commit
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if done, err = l.next(); err != nil {
			return l.fault(err)
		}
	}
	if oid := l.b.Missing(); oid != 0 && !dangling {
		return fmt.Errorf(`object %s is referred to ("$ref":"%s"), and is not in the dump: if the database was like that, say --dangling`, oid, oid)
	}
	if err := l.b.Commit(); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(loadJSON{l.classes, l.objects})
	}
	_, err = fmt.Fprintf(a.out, "%s: %s\n", plain(path), count(uint64(l.objects), "object"))
	return err
}

// loader reads the lines of a dump.
type loader struct {
	in               *bufio.Reader
	number           int // of the line
	line             []byte
	sum              hash.Hash // of the lines before it
	b                *filestorage.Builder
	ids              map[string]storage.ClassID
	classes, objects int
}

func loaderOf(in io.Reader) *loader {
	return &loader{in: bufio.NewReaderSize(in, 1<<16), sum: sha256.New(), ids: make(map[string]storage.ClassID)}
}

// fault says in which line something is wrong.
func (l *loader) fault(err error) error {
	return fmt.Errorf("line %d of the dump: %w", l.number, err)
}

// read reads the next line. It holds no more of it than is there.
func (l *loader) read() error {
	l.sum.Write(l.line)
	l.line = l.line[:0]
	l.number++
	for {
		part, err := l.in.ReadSlice('\n')
		if len(part) > maxLine-len(l.line) {
			return fmt.Errorf("it is longer than %d bytes", maxLine)
		}
		l.line = append(l.line, part...)
		switch {
		case err == nil:
			return nil
		case err == io.EOF:
			return errors.New("the dump ends here, before its last line: it was cut")
		case err != bufio.ErrBufferFull:
			return err
		}
	}
}

func (l *loader) begin(h *dumpHeader) error {
	errNoDump := fmt.Errorf(`no dump: it does not begin with {"durus_dump":%d`, dumpVersion)
	// What is no dump may be one endless line, such as /dev/zero.
	if head, _ := l.in.Peek(1); len(head) == 1 && head[0] != '{' {
		l.number++
		return errNoDump
	}
	if err := l.read(); err != nil {
		return err
	}
	if err := strict(l.line, h); err != nil || h.Version == 0 {
		return errNoDump
	}
	if h.Version != dumpVersion {
		return fmt.Errorf("%w: a dump of version %d, this program knows %d: use a newer program", storage.ErrTooNew, h.Version, dumpVersion)
	}
	return nil
}

// strict reads one JSON value without names that it does not know.
func strict(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more follows behind the JSON value")
	}
	return nil
}

// next takes a line; done after the last one.
func (l *loader) next() (done bool, err error) {
	if err := l.read(); err != nil {
		return false, err
	}
	switch {
	case bytes.HasPrefix(l.line, []byte(`{"oid":`)):
		return false, l.object()
	case bytes.HasPrefix(l.line, []byte(`{"class":`)):
		return false, l.class()
	case bytes.HasPrefix(l.line, []byte(`{"end":`)):
		return true, l.end()
	}
	return false, errors.New("neither a class, nor an object, nor the end")
}

func (l *loader) class() error {
	var j dumpClass
	if err := strict(l.line, &j); err != nil {
		return err
	}
	if l.objects > 0 {
		return fmt.Errorf("class %q comes after objects", j.Class)
	}
	id, err := l.b.Class(j.Class)
	if err != nil {
		return err
	}
	if _, ok := l.ids[j.Class]; !ok {
		l.ids[j.Class] = id
	}
	l.classes++
	return nil
}

func (l *loader) object() error {
	var j dumpObject
	if err := strict(l.line, &j); err != nil {
		return err
	}
	rec := storage.Record{OID: j.OID, Class: l.ids[j.Class], Codec: j.Codec}
	if rec.Class == 0 {
		return fmt.Errorf("object %s is of class %q, of which no line before tells", j.OID, j.Class)
	}
	var err error
	switch {
	case (j.Payload != nil) == (j.Value != nil):
		return fmt.Errorf(`object %s needs either "value" or "payload"`, j.OID)
	case j.Payload != nil:
		rec.Payload = *j.Payload
	case j.Codec != storage.CodecMsgpack:
		return fmt.Errorf(`object %s is in codec %d: it needs "payload"`, j.OID, j.Codec)
	default:
		if rec.Payload, err = codec.ParseText(j.Value); err != nil {
			return fmt.Errorf("the value of object %s: %w", j.OID, err)
		}
	}
	if j.Strong != nil && j.Weak != nil {
		rec.Strong, rec.Weak = *j.Strong, *j.Weak
	} else if rec.Strong, rec.Weak, err = referencesOf(rec.Codec, rec.Payload); err != nil {
		return fmt.Errorf("the state of object %s: %w", j.OID, err)
	}
	l.objects++
	return l.b.Add(&rec, j.TID, time.UnixMicro(j.Time))
}

// end holds the last line against what came before it.
func (l *loader) end() error {
	var j dumpTrailer
	if err := strict(l.line, &j); err != nil {
		return err
	}
	sum := hex.EncodeToString(l.sum.Sum(nil))
	switch {
	case j.Classes != l.classes || j.Objects != l.objects:
		return fmt.Errorf("the dump had %d classes and %d objects, and has %d and %d: lines are missing or were added", j.Classes, j.Objects, l.classes, l.objects)
	case j.SHA256 != sum:
		return fmt.Errorf("the dump was changed: the checksum of the lines before is %s, and was %s", sum, j.SHA256)
	}
	l.number++
	if _, err := l.in.ReadByte(); err != io.EOF {
		return errors.New("something follows behind the end of the dump")
	}
	return nil
}
