package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/internal/check"
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
	r, err := a.report(ctx, path)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(verdictOf(r))
	} else {
		a.printReport(path, r)
	}
	if err == nil && !r.OK() {
		err = problemsError{path, uint64(len(r.Problems)) + r.More}
	}
	return err
}

// report verifies. A file header that is beyond use is
// a problem like others.
func (a *app) report(ctx context.Context, path string) (r *filestorage.Report, err error) {
	st, err := open(path)
	var c *storage.CorruptError
	if errors.As(err, &c) {
		return &filestorage.Report{Problems: []filestorage.Problem{{Offset: c.Offset, OID: c.OID, Reason: c.Reason}}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer st.Close()
	snap, damage, err := st.Examine(ctx)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	if errors.Is(damage, storage.ErrTooNew) {
		return nil, damage // what this program does not understand it cannot check
	}
	bar := a.progress("verify")
	defer bar.end()
	if r, err = st.VerifyRecords(ctx, check.Payload, bar.update); err != nil || damage != nil {
		return r, err
	}
	if err = check.Containers(ctx, snap, r); err == nil {
		err = verifyTables(ctx, path, r)
	}
	return r, err
}

func verdictOf(r *filestorage.Report) verifyJSON {
	j := verifyJSON{
		OK:           r.OK(),
		Frames:       r.Frames,
		Transactions: r.Transactions,
		Records:      r.Records,
		Objects:      r.Objects,
		Containers:   r.Containers,
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

func (a *app) printReport(path string, r *filestorage.Report) {
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
	if r.Containers > 0 {
		trees = ", " + count(r.Containers, "container")
	}
	fmt.Fprintf(a.out, "%s: %s: %s, %s, %s%s\n", plain(path), verdict, count(r.Frames, "frame"), count(r.Transactions, "transaction"), count(r.Objects, "object"), trees)
	if r.Tail > 0 && r.OK() {
		a.note("%s at the end are of an interrupted commit: no problem, the next commit cuts them", sizeText(r.Tail))
	}
}
