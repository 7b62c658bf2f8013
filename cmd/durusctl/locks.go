package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs/posix"
)

func (a *app) locksCommand() *cobra.Command {
	return fileArgs(&cobra.Command{
		Use:   "locks FILE [--json]",
		Short: "Who holds the commit lock, and what is durable",
		Long: `The holder of the commit lock at this moment (commits hold it very shortly, so
usually nobody does), how far the file is known to be on the disk, and how far
what readers see lags behind what was appended.`,
		Example: `  durusctl locks bank.durus`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.locks(cmd.Context(), args[0])
		},
	}, 0)
}

type locksJSON struct {
	LockFile    string      `json:"lock_file"`
	Exists      bool        `json:"exists"`
	Holder      *holderJSON `json:"holder"` // null: nobody, or the system cannot tell
	DurableMark int64       `json:"durable_mark"`
	Mark        *markJSON   `json:"mark"` // null: the lock file holds none
	End         int64       `json:"end"`
	VisibleEnd  int64       `json:"visible_end"`
	Lag         int64       `json:"lag"`
	Size        int64       `json:"size"`
}

type holderJSON struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

type markJSON struct {
	End  int64       `json:"end"`
	TID  storage.TID `json:"tid"`
	Fits bool        `json:"fits"` // it is about this very file
}

func (a *app) locks(ctx context.Context, path string) error {
	st, err := open(path)
	if err != nil {
		return err
	}
	defer st.Close()
	s, err := st.LockState(ctx)
	if err != nil {
		return err
	}
	command := ""
	if s.Holder != 0 {
		command = posix.CommandLine(s.Holder)
	}
	if a.json {
		err = a.printJSON(locksOf(s, command))
	} else {
		a.printLocks(s, command)
	}
	if err == nil {
		err = s.Damage
	}
	return err
}

func locksOf(s *filestorage.LockState, command string) locksJSON {
	j := locksJSON{
		LockFile:    s.Path,
		Exists:      s.Exists,
		DurableMark: s.Durable,
		End:         s.End,
		VisibleEnd:  s.Visible,
		Lag:         s.End - s.Visible,
		Size:        s.Size,
	}
	if s.Holder != 0 {
		j.Holder = &holderJSON{s.Holder, command}
	}
	if s.MarkEnd != 0 {
		j.Mark = &markJSON{s.MarkEnd, s.MarkTID, s.MarkFits}
	}
	return j
}

func (a *app) printLocks(s *filestorage.LockState, command string) {
	var f facts
	file := plain(s.Path)
	if !s.Exists {
		file += " (does not exist; the next writer creates it)"
	}
	f.add("lock file", file)
	switch {
	case s.Holder != 0 && command != "":
		f.add("holder", fmt.Sprintf("process %d: %s", s.Holder, plain(command)))
	case s.Holder != 0:
		f.add("holder", fmt.Sprintf("process %d", s.Holder))
	case runtime.GOOS == "linux":
		f.add("holder", "nobody")
	default:
		f.add("holder", "unknown (this system does not tell)")
	}
	f.add("end", endText(s.End, s.End))
	f.add("visible end", endText(s.Visible, s.End))
	f.add("durable", endText(s.Durable, s.End))
	switch {
	case s.MarkEnd == 0:
		f.add("mark", "none")
	case !s.MarkFits:
		f.add("mark", "of another file, the next writer replaces it")
	default:
		f.add("mark", fmt.Sprintf("byte %d, transaction %s", s.MarkEnd, s.MarkTID))
	}
	f.add("lag", sizeText(s.End-s.Visible))
	f.add("size", sizeText(s.Size))
	a.printFacts(f)
}
