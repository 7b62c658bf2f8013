package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
)

func (a *app) inspectCommand() *cobra.Command {
	q := objectQuery{revisions: 10}
	cmd := &cobra.Command{
		Use:   "inspect FILE [OID] [--depth N] [--full] [--revisions N] [--json]",
		Short: "What is in a database, or in one object",
		Long: `Without OID: what the file is and how it is filled. Live bytes are those of the
newest state of every object, dead bytes those of replaced states; the rest is
administration. All numbers are of the visible part: what is committed and safe
on the disk.

With OID, class@oid as references are printed, or the name of a root: the state
of that object as readable data, without its Go type; what it refers to, and the
transactions that wrote it, the newest first. A container shows its first
entries, not its nodes. --depth follows references so many steps; each object is
shown once. Long values are cut.

With --json an object has oid, class, version, position, size, payload_size,
value, strong, weak, transaction, revisions, and for a container also container,
with kind, keys, length, more and entries: [key, value] pairs, the values of a
List, the keys of a Set. --depth adds followed: what was found, each with oid,
class and value.`,
		Example: `  durusctl inspect bank.durus
  durusctl inspect bank.durus bank --depth 2
  durusctl inspect bank.durus 17 --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.inspect(cmd.Context(), args[0])
			}
			if err := checkTarget(cmd, args[1]); err != nil {
				return err
			}
			if q.revisions < 0 {
				return usageError{"--revisions must not be negative", cmd.CommandPath()}
			}
			if q.depth < 0 || q.depth > maxDepth {
				return usageError{fmt.Sprintf("--depth goes from 0 to %d", maxDepth), cmd.CommandPath()}
			}
			return a.inspectObject(cmd.Context(), args[0], args[1], q)
		},
	}
	cmd.Flags().IntVar(&q.revisions, "revisions", q.revisions, "with OID, at most `N` revisions; 0: all")
	cmd.Flags().IntVar(&q.depth, "depth", 0, "with OID, follow references `N` steps")
	cmd.Flags().BoolVar(&q.full, "full", false, "with OID, cut nothing, and show all entries of containers")
	return completeObjects(fileArgs(cmd, 1))
}

type overviewJSON struct {
	Path         string      `json:"path"`
	ID           string      `json:"id"`
	Format       uint32      `json:"format"`
	Generation   uint64      `json:"generation"`
	Horizon      storage.TID `json:"horizon"`
	Created      string      `json:"created"`
	Size         int64       `json:"size"`
	End          int64       `json:"end"`
	VisibleEnd   int64       `json:"visible_end"`
	DurableMark  int64       `json:"durable_mark"`
	TornTail     int64       `json:"torn_tail"`
	Frames       uint64      `json:"frames"`
	Transactions uint64      `json:"transactions"`
	Objects      uint64      `json:"objects"`
	LiveBytes    int64       `json:"live_bytes"`
	DeadBytes    int64       `json:"dead_bytes"`
	Reclaimable  int64       `json:"reclaimable_bytes"` // by a pack without --keep: at least this much
	LastTID      storage.TID `json:"last_tid"`
	LastTime     *string     `json:"last_time"`
	Classes      []classJSON `json:"classes"`
	Damage       *damageJSON `json:"damage"`
}

type classJSON struct {
	Class   string `json:"class"`
	Version int    `json:"version,omitempty"` // absent: written without one
	Objects uint64 `json:"objects"`
	Bytes   int64  `json:"bytes"`
}

type damageJSON struct {
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
}

func (a *app) inspect(ctx context.Context, path string) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	bar := a.progress("inspect")
	o, err := st.Overview(ctx, bar.update)
	bar.end()
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(overviewOf(o))
	} else {
		a.printOverview(o)
		if o.Visible < o.End {
			a.note("what was appended behind the visible end is not known to be on the disk: that is normal for a moment after a commit, and for a copy without its lock file until a program opens it for writing")
		}
	}
	if err == nil && o.Damage != nil {
		err = o.Damage // what comes before it was shown; the rest is missing
	}
	return err
}

func overviewOf(o *filestorage.Overview) overviewJSON {
	j := overviewJSON{
		Path:         o.Path,
		ID:           hex.EncodeToString(o.Header.ID[:]),
		Format:       o.Header.Format,
		Generation:   o.Header.Generation,
		Horizon:      o.Header.Horizon,
		Created:      timeText(time.UnixMicro(o.Header.Created)),
		Size:         o.Size,
		End:          o.End,
		VisibleEnd:   o.Visible,
		DurableMark:  o.Mark,
		TornTail:     o.Tail,
		Frames:       o.Frames,
		Transactions: o.Transactions,
		Objects:      o.Objects,
		LiveBytes:    o.Live,
		DeadBytes:    o.Dead,
		Reclaimable:  o.Reclaimable,
		LastTID:      o.LastTID,
		Classes:      []classJSON{},
	}
	if o.LastTID != 0 {
		t := timeText(o.LastTime)
		j.LastTime = &t
	}
	for _, c := range o.Classes {
		name, version := classOf(c.Name, c.ID)
		j.Classes = append(j.Classes, classJSON{name, version, c.Objects, c.Live})
	}
	if o.Damage != nil {
		j.TornTail = 0 // it is no tail
		j.Damage = damageOf(o)
	}
	return j
}

func damageOf(o *filestorage.Overview) *damageJSON {
	var c *storage.CorruptError
	if errors.As(o.Damage, &c) {
		return &damageJSON{c.Offset, c.Reason}
	}
	return &damageJSON{o.End, o.Damage.Error()}
}

func (a *app) printOverview(o *filestorage.Overview) {
	h := &o.Header
	var f facts
	f.add("database", plain(o.Path))
	f.add("id", hex.EncodeToString(h.ID[:]))
	f.add("format", strconv.FormatUint(uint64(h.Format), 10))
	f.add("generation", strconv.FormatUint(h.Generation, 10))
	if h.Horizon != 0 {
		f.add("horizon", fmt.Sprintf("%s (history before was packed away)", h.Horizon))
	}
	f.add("created", timeText(time.UnixMicro(h.Created)))
	f.add("size", sizeText(o.Size))
	f.add("end", endText(o.End, o.End))
	f.add("visible end", endText(o.Visible, o.End))
	f.add("durable mark", endText(o.Mark, o.End))
	switch {
	case o.Damage != nil:
		d := damageOf(o)
		f.add("damage", a.red(plain(fmt.Sprintf("at byte %d: %s", d.Offset, d.Reason))))
	case o.Tail > 0:
		f.add("torn tail", sizeText(o.Tail)+" of an interrupted commit; the next commit cuts it")
	default:
		f.add("torn tail", "none")
	}
	f.add("frames", strconv.FormatUint(o.Frames, 10))
	f.add("transactions", strconv.FormatUint(o.Transactions, 10))
	f.add("objects", strconv.FormatUint(o.Objects, 10))
	if o.Unreadable > 0 {
		f.add("unreadable", a.red(count(o.Unreadable, "object")+", durusctl verify tells which"))
	}
	f.add("live", sizeText(o.Live))
	f.add("dead", sizeText(o.Dead))
	switch {
	case o.Damage != nil: // a pack refuses it
	case o.Packed:
		f.add("reclaimable", "none: it is packed, and nothing was committed since")
	default:
		f.add("reclaimable", "at least "+sizeText(o.Reclaimable)+"; durusctl pack --dry-run tells exactly")
	}
	if o.LastTID == 0 {
		f.add("last tid", "none")
	} else {
		f.add("last tid", o.LastTID.String())
		f.add("last time", timeText(o.LastTime))
	}
	a.printFacts(f)
	if len(o.Classes) == 0 {
		return
	}
	t := table{header: []string{"CLASS", "OBJECTS", "BYTES"}, right: map[int]bool{1: true, 2: true}}
	for _, c := range o.Classes {
		name, version := classOf(c.Name, c.ID)
		name = plain(name)
		if version > 0 {
			name += " version " + versionText(version)
		}
		t.add(name, strconv.FormatUint(c.Objects, 10), shortSize(c.Live))
	}
	fmt.Fprint(a.out, "\n")
	a.printTable(&t)
}

// endText is a position, and how far behind the end it is.
func endText(pos, end int64) string {
	if pos == end {
		return fmt.Sprintf("byte %d", pos)
	}
	return fmt.Sprintf("byte %d, %s before the end", pos, count(uint64(end-pos), "byte"))
}
