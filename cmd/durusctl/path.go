package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/storage"
)

func (a *app) pathCommand() *cobra.Command {
	return objectArgs(&cobra.Command{
		Use:   "path FILE OID [--json]",
		Short: "Why an object is alive: the way to it from a root",
		Long: `The shortest chain of strong references that leads from a root to an object,
with the fields that hold them; nodes of containers are left out. An object that
nothing leads to is removed by the next pack: that is told, and the exit code is
6 as for one that does not exist. Memory is some 40 bytes for each object that
is nearer to the roots. A root's name, or class@oid as references are printed,
may stand in place of OID.

With --json: oid, class, reachable, root (its name) and steps, each with oid,
class and the field of the step before that leads to it.`,
		Example: `  durusctl path bank.durus 17`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTarget(cmd, args[1]); err != nil {
				return err
			}
			return a.path(cmd.Context(), args[0], args[1])
		},
	})
}

type pathJSON struct {
	reference
	Reachable bool       `json:"reachable"`
	Root      string     `json:"root"` // "": none, or the root directory itself
	Steps     []stepJSON `json:"steps"`
}

type stepJSON struct {
	reference
	Field string `json:"field"`
}

func (a *app) path(ctx context.Context, path, target string) error {
	v, oid, err := a.viewOf(ctx, path, target)
	if err != nil {
		return err
	}
	defer v.close()
	if _, err := v.snap.Find(oid); errors.Is(err, storage.ErrNotFound) {
		return v.missing(oid)
	} else if err != nil {
		return err
	}
	s := search{view: v, from: make(map[storage.OID]storage.OID)}
	bar := a.progress("path")
	bar.unit = objectCount
	chain, err := s.to(ctx, oid, bar)
	bar.end()
	if err != nil {
		return err
	}
	j := pathJSON{Reachable: chain != nil, Steps: []stepJSON{}}
	if j.reference, err = v.reference(oid); err != nil {
		return err
	}
	if err := v.steps(&j, chain); err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(j)
	} else {
		a.printPath(&j)
	}
	switch {
	case err != nil:
		return err
	case !j.Reachable && (s.unreadable > 0 || v.damage != nil):
		return a.incomplete(v, s.unreadable) // the way may lead through what cannot be read
	case !j.Reachable && !s.rooted:
		return explain(storage.ErrNotFound, fmt.Sprintf("nothing leads to object %s: %s has no root directory, and durusctl pack refuses it", oid, path))
	case !j.Reachable:
		return explain(storage.ErrNotFound, fmt.Sprintf("nothing leads to object %s: the next pack removes it, but for history that is to be kept", oid))
	}
	return v.damage
}

// search looks for the shortest chain of strong references, breadth first.
type search struct {
	*view
	from       map[storage.OID]storage.OID // what was found, and who refers to it
	rooted     bool                        // there is a root directory
	unreadable uint64
}

// to returns the objects from the root directory to one; nil: there is no way.
func (s *search) to(ctx context.Context, oid storage.OID, bar *progress) ([]storage.OID, error) {
	s.from[rootOID] = 0
	var done int64
	for level := []storage.OID{rootOID}; len(level) > 0; {
		if _, found := s.from[oid]; found {
			return s.chain(oid), nil
		}
		var next []storage.OID
		for ahead := range slices.Chunk(level, readAhead) {
			s.announce(ahead)
			for _, o := range ahead {
				refs, err := s.strong(o)
				if err != nil {
					return nil, err
				}
				for _, to := range refs {
					if _, found := s.from[to]; !found {
						s.from[to] = o
						next = append(next, to)
					}
				}
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			done += int64(len(ahead))
			bar.update(done, max(done, int64(s.st.Stats().Objects)))
		}
		level = next
	}
	return nil, nil
}

// announce tells the file layer what is read next.
func (s *search) announce(oids []storage.OID) {
	var positions []storage.Position
	for _, oid := range oids {
		if pos, err := s.snap.Find(oid); err == nil {
			positions = append(positions, pos)
		}
	}
	s.snap.Prefetch(positions)
}

// strong returns what an object refers to; nothing if it is missing or damaged.
func (s *search) strong(oid storage.OID) ([]storage.OID, error) {
	rec, err := s.read(oid)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil, nil
	case errors.Is(err, storage.ErrCorrupt):
		s.unreadable++
		return nil, nil
	case err != nil:
		return nil, err
	}
	s.rooted = s.rooted || oid == rootOID
	return rec.Strong, nil
}

func (s *search) chain(oid storage.OID) []storage.OID {
	var chain []storage.OID
	for ; oid != 0; oid = s.from[oid] {
		chain = append(chain, oid)
	}
	slices.Reverse(chain)
	return chain
}

// steps fills in the fields of a chain that begins with the root directory.
func (v *view) steps(j *pathJSON, chain []storage.OID) error {
	for i := 1; i < len(chain); i++ {
		rec, err := v.read(chain[i-1])
		if err != nil {
			return err
		}
		links := v.linksTo(&rec, chain[i])
		strong := slices.IndexFunc(links, func(l linkJSON) bool { return !l.Weak })
		if strong < 0 {
			continue // damaged: its state has lost what is listed with it
		}
		field := links[strong].Field
		if field == nodeItself {
			continue // the next step says which entry of the container
		}
		r, err := v.reference(chain[i])
		if err != nil {
			return err
		}
		if chain[i-1] == rootOID {
			j.Root = v.rootName(chain[i])
		}
		j.Steps = append(j.Steps, stepJSON{r, field})
	}
	if n := len(chain); n > 1 && (len(j.Steps) == 0 || j.Steps[len(j.Steps)-1].OID != chain[n-1]) {
		j.Steps = append(j.Steps, stepJSON{j.reference, nodeItself}) // a node of a container was asked for
	}
	return nil
}

// rootName is the name of the root that an object is.
func (v *view) rootName(oid storage.OID) string {
	roots, _ := v.roots() // it was read just now
	for _, r := range roots {
		if r.oid == oid {
			return r.name
		}
	}
	return ""
}

// deepest is how far the lines of a path are moved to the right.
const deepest = 16

func (a *app) printPath(j *pathJSON) {
	if j.Reachable && len(j.Steps) == 0 {
		fmt.Fprintln(a.out, "the root directory")
	}
	for i, s := range j.Steps {
		at := plain(s.Field)
		if i == 0 && s.Field != "" {
			at = "root " + quoted(j.Root, maxString)
		}
		line := strings.Repeat("  ", min(i, deepest)) + strings.TrimPrefix(at+": ", ": ") + plain(s.reference.String())
		if a.width > 0 {
			line = cut(line, a.width)
		}
		fmt.Fprintln(a.out, line)
	}
}
