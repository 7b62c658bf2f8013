package mem

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"
)

// ErrKilled is what the files of a killed process answer.
var ErrKilled = errors.New("mem: the simulated process was killed")

// Op is one operation of one process, about as much as one system call. Each
// is a point where other processes may come between, or where it may fail.
type Op struct {
	Seq     uint64 // counts the operations given to Hook, from 1; 0 for a Chooser
	Process string
	Kind    Kind
	Name    string // of the file, as the process gave it; of the temporary one where a Writer writes and syncs
	Off     int64  // where it reads or writes; the new size of OpTruncate
	Len     int    // how many bytes
}

func (o Op) String() string {
	s := fmt.Sprintf("%d %s %s", o.Seq, o.Process, o.Kind)
	if o.Name != "" {
		s += " " + o.Name
	}
	if o.Off != 0 || o.Len != 0 {
		s += fmt.Sprintf(" @%d+%d", o.Off, o.Len)
	}
	return s
}

// Kind is what an operation does.
type Kind uint8

// The kinds of operations. OpAppend, OpRewrite, OpWrite and OpWriteMark write
// bytes and can be torn. Syncs have two points: what was written before the
// first is on the disk after the second.
const (
	OpStart      Kind = iota // a process of Run begins
	OpYield                  // Process.Yield
	OpOpen                   // an existing file is opened
	OpCreate                 // a file of a Writer, or a lock file, is created
	OpRead                   // File.ReadAt
	OpSize                   // File.Size
	OpStat                   // Stat of a file or a name, and the identity check of a lock
	OpAppend                 // File.Append
	OpRewrite                // File.Rewrite
	OpWrite                  // Writer.Write
	OpTruncate               // File.Truncate
	OpSync                   // the start of File.Sync, and of the sync in Writer.Commit
	OpSyncEnd                // its end
	OpRename                 // Writer.Commit, Process.Rename
	OpLink                   // Process.Link
	OpRemove                 // FS.Remove, and of the temporary file of a Writer
	OpSyncDir                // the start of FS.SyncDir
	OpSyncDirEnd             // its end
	OpTryLock                // a lock is tried: on the lock file, then on the data file
	OpLock                   // a lock is waited for: likewise
	OpUnlock                 // both are given back
	OpLatch                  // Locker.UpdateMark waits for the latch
	OpReadMark               // the mark is read
	OpWriteMark              // the mark is written
	OpUnlatch                // the latch is given back
	OpList                   // FS.List
	kinds
)

var kindNames = [kinds]string{"start", "yield", "open", "create", "read", "size", "stat", "append", "rewrite", "write", "truncate",
	"sync", "syncend", "rename", "link", "remove", "syncdir", "syncdirend", "trylock", "lock", "unlock", "latch", "readmark", "writemark", "unlatch", "list"}

func (k Kind) String() string { return kindNames[k] }

// writes reports whether the operation writes bytes and can be torn.
func (k Kind) writes() bool {
	return k == OpAppend || k == OpRewrite || k == OpWrite || k == OpWriteMark
}

// syncs reports whether the operation is the start or the end of a sync of a file.
func (k Kind) syncs() bool { return k == OpSync || k == OpSyncEnd }

// Action is what becomes of an operation. The zero Action lets it happen.
type Action struct {
	verb verb
	n    int
	err  error
	lose func(i int, off int64, n int) bool
}

type verb uint8

const (
	verbProceed verb = iota
	verbFail
	verbFailAfter
	verbShort
	verbKill
	verbStop
	verbFailSync
	verbDropSync
)

// Proceed lets the operation happen.
func Proceed() Action { return Action{} }

// Fail lets the operation fail with err without having done anything. On a
// sync of a file it is FailSync(err, nil).
func Fail(err error) Action { return Action{verb: verbFail, err: err} }

// FailAfter lets the operation happen and be reported as failed.
func FailAfter(err error) Action { return Action{verb: verbFailAfter, err: err} }

// ShortWrite lets only the first n bytes of a write happen and reports err;
// nil is io.ErrShortWrite. Other operations fail.
func ShortWrite(n int, err error) Action {
	if err == nil {
		err = io.ErrShortWrite
	}
	return Action{verb: verbShort, n: n, err: err}
}

// Kill ends the process before the operation, as SIGKILL does.
func Kill() Action { return Action{verb: verbKill} }

// KillAfter ends the process when n bytes of a write have been written.
func KillAfter(n int) Action { return Action{verb: verbKill, n: n} }

// Stop suspends the process before the operation, as SIGSTOP does, until
// Process.Continue; under Run also until nobody else can go on. It is stopped
// before an operation of another process is given to the Hook; what a Hook has
// told somebody before it returns may be known earlier.
func Stop() Action { return Action{verb: verbStop} }

// FailSync lets a sync of a file fail as kernels do: the error (nil is EIO) is
// reported once to each handle that is open now, and the unsynced writes that
// lose chooses (nil is all; i counts them, oldest first) become clean without
// being on the disk. They can be read until Evict; no later sync writes them.
func FailSync(err error, lose func(i int, off int64, n int) bool) Action {
	if err == nil {
		err = syscall.EIO
	}
	return Action{verb: verbFailSync, err: err, lose: lose}
}

// DropSync lets a sync do nothing and report success, as a drive does that
// lies about its cache (M9).
func DropSync() Action { return Action{verb: verbDropSync} }

// fate is what begin has decided about the operation that now happens.
type fate struct {
	short bool // write only n bytes
	n     int
	die   bool   // then end the process
	after error  // then report this
	sync  Action // verbFailSync or verbDropSync, or the zero Action
}

// cut returns what of p is to be written.
func (ft fate) cut(p []byte) []byte {
	if ft.short {
		return p[:min(max(ft.n, 0), len(p))]
	}
	return p
}

// begin is the point before an operation of the process: here others may run,
// and rules may decide its fate. With an error the operation does not happen.
// It costs next to nothing when there is neither a scheduler, nor a hook, nor
// a rule.
func (p *Process) begin(op Op) (fate, error) {
	// dead is read without the lock: an operation that misses the kill finds
	// it under the lock.
	if p.dead.Load() {
		return fate{}, ErrKilled
	}
	if p.task == nil && p.d.Hook == nil && p.d.faulty.Load() == 0 && !p.stopped.Load() {
		return fate{}, nil
	}
	op.Process = p.name
	if p.task != nil {
		p.task.yield(op)
	}
	if err := p.pause(op); err != nil {
		return fate{}, err
	}
	act := p.d.decide(p, op)
	if act.verb == verbStop {
		if err := p.pause(op); err != nil {
			return fate{}, err
		}
		act = Action{}
	}
	return p.judge(op, act)
}

// decide asks the hook, then the rules. A process that is to be stopped is
// stopped when it returns, and before anybody else's operation is decided: who
// then continues it does not come too early.
func (d *Disk) decide(p *Process, op Op) (act Action) {
	d.hookMu.Lock()
	defer d.hookMu.Unlock()
	d.seq++
	op.Seq = d.seq
	if d.Hook != nil {
		act = d.Hook(op)
	}
	if act.verb == verbProceed && d.faulty.Load() != 0 {
		act = d.matchFaults(op)
	}
	if act.verb == verbStop {
		p.Stop()
	}
	return act
}

// judge turns an action into a fate.
func (p *Process) judge(op Op, act Action) (fate, error) {
	if p.dead.Load() { // the hook killed it by name
		p.unwind()
		return fate{}, ErrKilled
	}
	switch act.verb {
	case verbFail:
		if op.Kind.syncs() {
			return fate{sync: Action{verb: verbFailSync, err: act.err}}, nil
		}
		return fate{}, act.err
	case verbFailAfter:
		return fate{after: act.err}, nil
	case verbShort:
		if !op.Kind.writes() {
			return fate{}, act.err
		}
		return fate{short: true, n: act.n, after: act.err}, nil
	case verbKill:
		if op.Kind.writes() && act.n > 0 {
			return fate{short: true, n: act.n, die: true}, nil
		}
		p.Kill()
		p.unwind()
		return fate{}, ErrKilled
	case verbFailSync, verbDropSync:
		if !op.Kind.syncs() {
			return fate{}, fmt.Errorf("mem: action for a sync given to %s", op.Kind)
		}
		return fate{sync: act}, nil
	}
	return fate{}, nil
}

// end is the point after an operation that happened with result err.
func (p *Process) end(ft fate, err error) error {
	if ft.die {
		p.Kill()
		p.unwind()
		return ErrKilled
	}
	if err == nil {
		err = ft.after
	}
	return err
}

// unwind ends the goroutine of a killed process that Run has started. Goexit
// cannot be recovered, so no code under test can mistake the kill for an error
// and go on. Deferred calls run; what they do with files has no effect.
// Elsewhere the goroutine is not ours to end, and ErrKilled must do.
func (p *Process) unwind() {
	if p.task != nil {
		runtime.Goexit()
	}
}
