package durus

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
)

// upgrade decodes a record of another version than the program's: it refuses a
// higher one, and takes a lower one through the steps. Nothing is kept of a
// failure.
func (c *core) upgrade(rec storage.Record, class *class, info *typeInfo) (v any, extra codec.Extra, err error) {
	steps, err := c.stepsFrom(rec.OID, class, info)
	if err != nil {
		return nil, nil, err
	}
	if len(steps) == 0 {
		v = info.fresh()
		extra, err = info.plan.Decode(rec.Payload, c.tag, v)
		return v, extra, c.decodeError(rec, class, info.goType, err)
	}
	v = steps[0].fresh()
	if extra, err = steps[0].plan.Decode(rec.Payload, c.tag, v); err != nil {
		return nil, nil, c.decodeError(rec, class, steps[0].old, err)
	}
	for _, s := range steps {
		next := s.next()
		extra, err = s.bridge.Carry(v, next, extra)
		if err == nil {
			err = s.run(v, next)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("durus: object %s of class %s in %s: the upgrade %s failed: %w", rec.OID, class, c.db.path, s, err)
		}
		v = next
	}
	return v, extra, nil
}

// stepsFrom returns the steps from the version of a record to the program's.
func (c *core) stepsFrom(oid OID, class *class, info *typeInfo) ([]*step, error) {
	lowest, from := info.lowest(), class.version
	switch {
	case from == 0:
		from = c.base(class.name, lowest)
	case info.version == 0:
		return nil, fmt.Errorf("%w of the program: object %s in %s is of class %s, this program knows the class without a version: use the newer program for it",
			ErrTooNew, oid, c.db.path, class)
	case from > info.version:
		return nil, fmt.Errorf("%w of the program: object %s in %s is of class %s, this program knows version %d: use the newer program for it",
			ErrTooNew, oid, c.db.path, class, info.version)
	}
	if from < lowest {
		return nil, fmt.Errorf("%w: object %s in %s is of class %s and of version %d, this program reads the class from version %d on: add durus.Upgrade(%d, ...), or run DB.Migrate of a program that has it",
			ErrType, oid, c.db.path, class.name, from, lowest, lowest-1)
	}
	return info.steps[from-lowest:], nil
}

// run calls the program's function.
func (s *step) run(old, new any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	return s.call(old, new)
}

// panicked makes an error of a panic in a function of the program's, with the
// line that panicked. It is called by the function that recovers. Must panics
// with an error, which is what it comes to here as well.
func panicked(p any) error {
	if m, ok := p.(*mustError); ok {
		return m.err
	}
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	place, panicking := "", false
	for {
		f, more := frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "runtime."):
			panicking = panicking || f.Function == "runtime.gopanic"
		case panicking:
			place, more = fmt.Sprintf(" at %s:%d", filepath.Base(f.File), f.Line), false
		}
		if !more {
			break
		}
	}
	if err, ok := p.(error); ok {
		return fmt.Errorf("panic%s: %w", place, err)
	}
	return fmt.Errorf("panic%s: %v", place, p)
}

// baseUpgraded makes an edited object of an older version be compared, at
// commit, with what the upgrade alone would store, so that it is written only
// if the program has changed it. What cannot be encoded counts as changed: the
// commit will tell.
func (c *core) baseUpgraded(e *edited, rec storage.Record) {
	class, ok := c.db.class(c.gen, c.snap, rec.Class)
	if !ok || class.version == e.info.version {
		return
	}
	w := codec.Writer{Out: c.own}
	e.base = nil
	if err := e.info.plan.Encode(&w, e.value, e.extra); err == nil {
		e.base = w.Buf
	}
}
