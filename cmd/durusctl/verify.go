package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/internal/collection"
	"github.com/durusdb/durus/storage"
)

func (a *app) verifyCommand() *cobra.Command {
	return fileArgs(&cobra.Command{
		Use:   "verify FILE [--json]",
		Short: "Check every byte of a database",
		Long: `Read the whole file and check frames, checksums, the chain of frames and of each
object's revisions, classes, references, payloads, containers (order, lengths,
that a search finds each key), that the trees of each table hold the same
objects, and the index. A torn tail, as an interrupted commit leaves it, is no
problem. Exit code 3 says that there are problems; nothing is repaired.`,
		Example: `  durusctl verify bank.durus && cp bank.durus /backup`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.verify(cmd.Context(), args[0])
		},
	}, 0)
}

type verifyJSON struct {
	OK           bool          `json:"ok"`
	Frames       uint64        `json:"frames"`
	Transactions uint64        `json:"transactions"`
	Records      uint64        `json:"records"`
	Objects      uint64        `json:"objects"`
	Containers   uint64        `json:"containers"`
	Size         int64         `json:"size"`
	End          int64         `json:"end"`
	TornTail     int64         `json:"torn_tail"`
	LiveBytes    int64         `json:"live_bytes"`
	Problems     []problemJSON `json:"problems"`
	MoreProblems uint64        `json:"more_problems"`
}

type problemJSON struct {
	Offset int64       `json:"offset"`
	OID    storage.OID `json:"oid"` // empty: it is not about one object
	Reason string      `json:"reason"`
}

func (a *app) verify(ctx context.Context, path string) error {
	r, containers, err := a.report(ctx, path)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(verdictOf(r, containers))
	} else {
		a.printReport(path, r, containers)
	}
	if err == nil && !r.OK() {
		err = problemsError{path, uint64(len(r.Problems)) + r.More}
	}
	return err
}

// report verifies, and counts the containers. A file header that is beyond use is
// a problem like others.
func (a *app) report(ctx context.Context, path string) (r *filestorage.Report, containers uint64, err error) {
	st, err := open(path)
	var c *storage.CorruptError
	if errors.As(err, &c) {
		return &filestorage.Report{Problems: []filestorage.Problem{{Offset: c.Offset, OID: c.OID, Reason: c.Reason}}}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer st.Close()
	snap, damage, err := st.Examine(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer snap.Release()
	if errors.Is(damage, storage.ErrTooNew) {
		return nil, 0, damage // what this program does not understand it cannot check
	}
	bar := a.progress("verify")
	defer bar.end()
	if r, err = st.VerifyRecords(ctx, checkPayload, bar.update); err != nil || damage != nil {
		return r, 0, err
	}
	if containers, err = checkContainers(ctx, snap, r); err == nil {
		err = verifyTables(ctx, path, r)
	}
	return r, containers, err
}

// checkContainers adds what is wrong with containers to a report. What cannot be
// read is in the report already.
func checkContainers(ctx context.Context, snap storage.Snapshot, r *filestorage.Report) (n uint64, err error) {
	for place, err := range snap.Objects(1) {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, storage.ErrCorrupt) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		id, err := snap.Class(place.OID, place.Position)
		if err != nil {
			continue
		}
		class, _ := snap.ClassName(id)
		if !collection.IsHead(class) {
			continue
		}
		n++
		_, err = collection.Check(collection.In(snap), uint64(place.OID), class)
		var known *storage.CorruptError
		if errors.Is(err, storage.ErrCorrupt) && !errors.As(err, &known) {
			r.Problems = append(r.Problems, filestorage.Problem{Offset: int64(place.Position), OID: place.OID, Reason: err.Error()})
		} else if err != nil && known == nil {
			return n, err
		}
	}
	return n, nil
}

// checkPayload says what is wrong with the state of an object: it must be what
// its codec says, and refer to exactly those objects that the record lists
// for those who cannot read it.
func checkPayload(rec *storage.Record) string {
	if rec.Codec != storage.CodecMsgpack {
		return fmt.Sprintf("its codec is %d, which this program does not know", rec.Codec)
	}
	var strong, weak []storage.OID
	err := codec.References(rec.Payload, func(oid uint64, isWeak bool) {
		if isWeak {
			weak = append(weak, storage.OID(oid))
		} else {
			strong = append(strong, storage.OID(oid))
		}
	})
	if err != nil {
		return err.Error()
	}
	if s := compareReferences(strong, rec.Strong); s != "" {
		return s
	}
	return compareReferences(weak, rec.Weak)
}

// compareReferences holds what a payload refers to, in any number, against the
// list of its record.
func compareReferences(found, listed []storage.OID) string {
	if slices.Equal(found, listed) {
		return ""
	}
	slices.Sort(found)
	found = slices.Compact(found)
	listed = slices.Compact(slices.Sorted(slices.Values(listed)))
	for _, oid := range found {
		if _, ok := slices.BinarySearch(listed, oid); !ok {
			return fmt.Sprintf("its state refers to object %s, the references listed with it do not", oid)
		}
	}
	for _, oid := range listed {
		if _, ok := slices.BinarySearch(found, oid); !ok {
			return fmt.Sprintf("object %s is listed among its references, its state does not refer to it", oid)
		}
	}
	return ""
}

func verdictOf(r *filestorage.Report, containers uint64) verifyJSON {
	j := verifyJSON{
		OK:           r.OK(),
		Frames:       r.Frames,
		Transactions: r.Transactions,
		Records:      r.Records,
		Objects:      r.Objects,
		Containers:   containers,
		Size:         r.Size,
		End:          r.End,
		TornTail:     r.Tail,
		LiveBytes:    r.Live,
		Problems:     []problemJSON{},
		MoreProblems: r.More,
	}
	for _, p := range r.Problems {
		j.Problems = append(j.Problems, problemJSON(p))
	}
	return j
}

func (a *app) printReport(path string, r *filestorage.Report, containers uint64) {
	for _, p := range r.Problems {
		fmt.Fprintf(a.out, "%s\n", a.red(plain(p.String())))
	}
	if r.More > 0 {
		fmt.Fprintf(a.out, "and %d more\n", r.More)
	}
	verdict := "ok"
	if !r.OK() {
		verdict = a.red("damaged")
	}
	trees := ""
	if containers > 0 {
		trees = ", " + count(containers, "container")
	}
	fmt.Fprintf(a.out, "%s: %s: %s, %s, %s%s\n", plain(path), verdict, count(r.Frames, "frame"), count(r.Transactions, "transaction"), count(r.Objects, "object"), trees)
	if r.Tail > 0 && r.OK() {
		a.note("%s at the end are of an interrupted commit: no problem, the next commit cuts them", sizeText(r.Tail))
	}
}
