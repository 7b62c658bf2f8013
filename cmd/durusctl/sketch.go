package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/durusdb/durus/cmd/durusctl/picture"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

// What a picture shows of a value, and of the history of an object.
const (
	maxRowText   = 200 // bytes
	maxRevisions = 10
	maxShared    = 20 // objects of one transaction whose history is read
)

// internalRoots is what the names of roots begin with that belong to durus itself.
const internalRoots = "durus."

// sketch collects what is drawn: objects in the order of their distance.
type sketch struct {
	*view
	graphQuery
	graph      picture.Graph
	level      map[storage.OID]int // of the objects that were found: drawn, or to be
	queue      []storage.OID
	beyond     bool // there are references that --depth cuts off
	full       bool // there are references that --limit cuts off
	hidden     []string
	unreadable uint64
	writers    map[storage.TID]*writer
}

func (s *sketch) draw(ctx context.Context, start storage.OID, bar *progress) error {
	s.graph.Objects, s.graph.Notes = []picture.Object{}, []string{}
	for s.queue = []storage.OID{start}; len(s.queue) > 0; s.queue = s.queue[1:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		o, err := s.object(s.queue[0])
		if err != nil {
			return err
		}
		s.graph.Objects = append(s.graph.Objects, o)
		bar.update(int64(len(s.graph.Objects)), int64(min(s.limit, len(s.level))))
	}
	note := func(format string, args ...any) { s.graph.Notes = append(s.graph.Notes, fmt.Sprintf(format, args...)) }
	if s.full {
		note("Only %s drawn, the nearest: --limit %d.", objectsAre(len(s.graph.Objects)), s.limit)
	}
	if s.beyond {
		note("Objects further away are left out: --depth %d.", s.depth)
	}
	for _, name := range s.hidden {
		note("The root %s is left out, which durus keeps for itself: --root %s draws it.", name, name)
	}
	return nil
}

func objectsAre(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return fmt.Sprintf("%d objects are", n)
}

// object makes a picture of an object, and finds those that it leads to.
func (s *sketch) object(oid storage.OID) (picture.Object, error) {
	r, err := s.reference(oid)
	if err != nil {
		return picture.Object{}, err
	}
	o := picture.Object{ID: oid.String(), Class: plain(r.Class), Rows: []picture.Row{}}
	if r.Missing {
		o.Class, o.About = "missing", "there is no such object"
		return o, nil
	}
	rec, err := s.read(oid)
	switch {
	case errors.Is(err, storage.ErrCorrupt):
		s.unreadable++
		o.About = "damaged: it cannot be read"
		return o, nil
	case err != nil:
		return o, err
	}
	if err := s.rows(&o, &rec); err != nil {
		if !errors.Is(err, storage.ErrCorrupt) {
			return o, err
		}
		s.unreadable++
		o.About = strings.TrimPrefix(o.About+", damaged", ", ")
	}
	if s.format.history {
		err = s.history(&o, oid)
	}
	return o, err
}

// rows fills in the values of an object.
func (s *sketch) rows(o *picture.Object, rec *storage.Record) error {
	var failed error
	add := func(at field, leaf any) bool {
		failed = s.row(o, at, leaf)
		return failed == nil
	}
	if c, ok := s.container(rec); ok {
		n, err := c.length()
		if err != nil {
			return err
		}
		o.About = plain(c.summary())
		shown := 0
		err = c.each(func(key, value any) bool {
			if shown == s.limit {
				o.More += n - shown
				return false
			}
			shown++
			if c.class != collection.ClassSet {
				return references(keyField, key, add) && leaves(entryField(key), value, add)
			}
			return leaves(nil, key, add)
		})
		return errors.Join(failed, err)
	}
	if rec.Codec != storage.CodecMsgpack {
		o.About = fmt.Sprintf("its state is in codec %d, which this program cannot read", rec.Codec)
		return nil
	}
	value, err := codec.Readable(rec.Payload)
	if err != nil {
		return err
	}
	if dir, ok := value.(codec.Map); ok && rec.OID == rootOID {
		value = s.own(dir)
		o.About = "root directory"
	}
	leaves(nil, value, add)
	return failed
}

// own leaves the roots out that durus keeps for itself.
func (s *sketch) own(dir codec.Map) codec.Map {
	var own codec.Map
	for _, e := range dir {
		if name, ok := e.Key.(string); ok && strings.HasPrefix(name, internalRoots) {
			s.hidden = append(s.hidden, plain(name))
			continue
		}
		own = append(own, e)
	}
	return own
}

// row adds a value, and what it refers to.
func (s *sketch) row(o *picture.Object, at field, leaf any) error {
	row := picture.Row{Name: plain(at.String())}
	ref, isRef := leaf.(codec.RefValue)
	if isRef {
		oid := storage.OID(ref.OID)
		r, err := s.reference(oid)
		if err != nil {
			return err
		}
		row.Text, row.To, row.Weak = plain(r.String()+s.content(r)), oid.String(), ref.Weak
		if ref.Weak {
			row.Text += " (weak)"
		}
		s.find(oid)
	} else {
		if len(o.Rows) >= s.format.rows {
			o.More++
			return nil
		}
		row.Text = plain(tree{most: maxRowText}.scalar(leaf))
	}
	if len(o.Rows) >= s.format.rows+s.limit { // a row for each object that may be drawn
		o.More++
		return nil
	}
	o.Rows = append(o.Rows, row)
	return nil
}

// find takes an object up into the picture if there is room.
func (s *sketch) find(to storage.OID) {
	if _, found := s.level[to]; found {
		return
	}
	level := s.level[s.queue[0]] + 1
	switch {
	case s.depth >= 0 && level > s.depth:
		s.beyond = true
	case len(s.level) >= s.limit:
		s.full = true
	default:
		s.level[to] = level
		s.queue = append(s.queue, to)
	}
}

// history tells which transactions wrote an object. To read what one says of itself
// takes as long as its list of objects is: of one that wrote many of the objects
// here, it is read for the first of them, and the others are not followed further back.
func (s *sketch) history(o *picture.Object, oid storage.OID) error {
	pos, err := s.snap.Find(oid)
	if err != nil {
		return err
	}
	tid, err := s.snap.WrittenBy(oid, pos)
	if err != nil {
		return s.unknown(err)
	}
	w := s.writers[tid]
	if w == nil {
		w = &writer{}
		s.writers[tid] = w
	}
	if w.objects++; w.objects > maxShared {
		o.Older = true
		if w.revision.TID != "" {
			o.History = []picture.Revision{w.revision}
		}
		return nil
	}
	for r, err := range s.st.Revisions(s.snap, oid) {
		if err != nil {
			return s.unknown(err)
		}
		if o.Older = len(o.History) == maxRevisions; o.Older {
			break
		}
		o.History = append(o.History, picture.Revision{TID: r.TID.String(), Time: timeText(r.Time), User: plain(r.User), Description: plain(r.Description)})
	}
	if len(o.History) > 0 {
		w.revision = o.History[0]
	}
	return nil
}

// unknown is for a history that cannot be read, which is no reason to draw nothing.
func (s *sketch) unknown(err error) error {
	if !errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	s.unreadable++
	return nil
}

// writer is a transaction that has written objects of the picture.
type writer struct {
	objects  int
	revision picture.Revision
}
