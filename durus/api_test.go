package durus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/durusdb/durus/durus"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// The names and signatures that programs are compiled against. This file
// changes only by additions.
var (
	_ func(string, *durus.Options) (*durus.DB, error) = durus.Open
	_ func(*durus.Options) (*durus.DB, error)         = durus.OpenMemory

	_ = durus.Options{
		ReadOnly: false, MustExist: false, Sync: durus.SyncAlways, SyncEvery: time.Second, LockTimeout: time.Second,
		MaxRetries: 1, CacheBytes: int64(1), Isolation: durus.Serializable, Check: durus.CheckAuto, Types: (*durus.Types)(nil),
		Perm: fs.FileMode(0o600), Logger: (*slog.Logger)(nil), FS: vfs.FS(nil),
	}
	_ = []durus.SyncPolicy{durus.SyncAlways, durus.SyncInterval, durus.SyncNever}
	_ = []durus.Isolation{durus.Serializable, durus.SnapshotIsolation}
	_ = []durus.Checks{durus.CheckAuto, durus.CheckNothing, durus.CheckShared, durus.CheckRerun}

	_ func(*durus.DB) error                                                      = (*durus.DB).Close
	_ func(*durus.DB) string                                                     = (*durus.DB).Path
	_ func(*durus.DB) durus.Stats                                                = (*durus.DB).Stats
	_ func(*durus.DB, context.Context) error                                     = (*durus.DB).Sync
	_ func(*durus.DB) (durus.TID, error)                                         = (*durus.DB).LastTID
	_ func(*durus.DB, durus.TID) (bool, error)                                   = (*durus.DB).Committed
	_ func(*durus.DB, context.Context, func(*durus.Tx) error) error              = (*durus.DB).View
	_ func(*durus.DB, context.Context, func(*durus.Tx) error) error              = (*durus.DB).Update
	_ func(*durus.DB, context.Context, durus.At, func(*durus.Tx) error) error    = (*durus.DB).ViewAt
	_ func(durus.TID) durus.At                                                   = durus.AtTID
	_ func(time.Time) durus.At                                                   = durus.AtTime
	_ func(*durus.DB, durus.TID, durus.TID) iter.Seq2[durus.TxInfo, error]       = (*durus.DB).Transactions
	_ func(*durus.DB, durus.OID) iter.Seq2[durus.Revision, error]                = (*durus.DB).History
	_ func(*durus.DB, context.Context, io.Writer) (durus.TID, error)             = (*durus.DB).Backup
	_ func(*durus.DB, context.Context) (durus.VerifyReport, error)               = (*durus.DB).Verify
	_ func(*durus.DB, context.Context, durus.TID) iter.Seq2[durus.Change, error] = (*durus.DB).Watch
	_ func(*durus.DB, context.Context, ...durus.TID) (durus.TID, error)          = (*durus.DB).Undo
	_ func(*durus.DB, context.Context, ...durus.TID) ([]durus.Undone, error)     = (*durus.DB).PlanUndo
	_ func(*durus.Tx, ...durus.TID) error                                        = (*durus.Tx).Undo
	_ func(*durus.DB, context.Context, pack.Options) (pack.Report, error)        = (*durus.DB).Pack
	_ func(*durus.DB, context.Context, bool) (*durus.Tx, error)                  = (*durus.DB).Begin
	_ func(*durus.DB, context.Context) (*durus.Connection, error)                = (*durus.DB).Connect
	_ func(*durus.Tx) error                                                      = (*durus.Tx).Commit
	_ func(*durus.Tx) error                                                      = (*durus.Tx).Rollback
	_ func(*durus.Tx, string, string, map[string]string)                         = (*durus.Tx).Describe
	_ func(*durus.Tx) int                                                        = (*durus.Tx).Attempt
	_ func(*durus.Tx, func(durus.TID))                                           = (*durus.Tx).OnCommit
	_ func(*durus.Tx) (*durus.Savepoint, error)                                  = (*durus.Tx).Savepoint
	_ func(*durus.Savepoint) error                                               = (*durus.Savepoint).Rollback
	_ func(durus.Session) iter.Seq2[durus.Ref[Bank], *Bank]                      = durus.Instances[Bank]
	_ func(*durus.Connection) error                                              = (*durus.Connection).Pause
	_ func(*durus.Connection) error                                              = (*durus.Connection).Continue
	_ func(*durus.Connection) error                                              = (*durus.Connection).Commit
	_ func(*durus.Connection) error                                              = (*durus.Connection).Abort
	_ func(*durus.Connection) error                                              = (*durus.Connection).Sync
	_ func(*durus.Connection) error                                              = (*durus.Connection).Close
	_ func(int, error) int                                                       = durus.Must[int]
	_ func(int, bool, error) (int, bool)                                         = durus.Must2[int, bool]
	_ func(durus.Session, iter.Seq2[int, durus.Ref[Bank]]) iter.Seq2[int, *Bank] = durus.Each[int, Bank]
	_ func(durus.Session, *Bank) (durus.Ref[Bank], error)                        = durus.Add[Bank]
	_ func(string) durus.Root[Bank]                                              = durus.NewRoot[Bank]
	_ func(durus.Root[Bank], durus.Session) (*Bank, error)                       = durus.Root[Bank].Load
	_ func(durus.Root[Bank], durus.Session) (*Bank, error)                       = durus.Root[Bank].Edit
	_ func(durus.Ref[Bank], durus.Session) (*Bank, error)                        = durus.Ref[Bank].Load
	_ func(durus.Ref[Bank], durus.Session) (*Bank, error)                        = durus.Ref[Bank].Edit
	_ func(durus.Ref[Bank], durus.Session) (*Bank, error)                        = durus.Ref[Bank].Peek
	_ func(durus.Ref[Bank]) durus.OID                                            = durus.Ref[Bank].OID
	_ func(durus.Ref[Bank]) bool                                                 = durus.Ref[Bank].IsNil
	_ func(durus.Ref[Bank]) durus.AnyRef                                         = durus.Ref[Bank].Any
	_ func(durus.Ref[Bank]) durus.WeakRef[Bank]                                  = durus.Ref[Bank].Weak
	_ func(durus.WeakRef[Bank], durus.Session) (*Bank, bool, error)              = durus.WeakRef[Bank].Load
	_ func(durus.OID) durus.Ref[Bank]                                            = durus.RefTo[Bank]
	_ func(durus.OID) durus.AnyRef                                               = durus.AnyRefTo
	_ func(durus.AnyRef) durus.Ref[Bank]                                         = durus.As[Bank]
	_ func(durus.AnyRef, durus.Session) (any, error)                             = durus.AnyRef.Load
	_ func(durus.AnyRef, durus.Session) (string, error)                          = durus.AnyRef.Class
	_ func(durus.AnyRef) durus.OID                                               = durus.AnyRef.OID
	_ func(durus.AnyRef) bool                                                    = durus.AnyRef.IsNil
	_ func(string, ...durus.TypeOption) durus.Type                               = durus.Register[Bank]
	_ func(*durus.Types, string, ...durus.TypeOption) durus.Type                 = durus.RegisterIn[Bank]
	_ func() *durus.Types                                                        = durus.NewTypes
	_ func(string) durus.TypeOption                                              = durus.Alias
	_ func(int) durus.TypeOption                                                 = durus.Version
	_ func(int, func(*Account, *Bank) error) durus.TypeOption                    = durus.Upgrade[Account, Bank]
	_ func(func(_, _, _ *Bank) (*Bank, error)) durus.TypeOption                  = durus.Merge[Bank]
	_ func(*durus.Opaque) int                                                    = (*durus.Opaque).Version
	_ func(string) (durus.OID, error)                                            = durus.ParseOID
	_ func(string) (durus.TID, error)                                            = durus.ParseTID

	_ interface {
		Context() context.Context
		Err() error
		Snapshot() durus.TID
	} = durus.Session(nil)
	_ = []durus.Session{(*durus.Tx)(nil), (*durus.Connection)(nil)}
	_ = map[durus.Ref[Bank]]map[durus.AnyRef]map[durus.WeakRef[Bank]]durus.OID{}
	_ = durus.Opaque{}
	_ = durus.TxInfo{TID: 1, Time: time.Time{}, User: "", Description: "", Ext: map[string]string{}, OIDs: []durus.OID{}}
	_ = durus.Revision{TxInfo: durus.TxInfo{}, Class: "", Size: int64(0)}

	_ func(*durus.DB, context.Context, func(durus.MigrateProgress)) (durus.MigrateReport, error) = (*durus.DB).Migrate
)

// The errors are those of package storage, with the spelling of ids.
func TestErrorsAndIDs(t *testing.T) {
	for _, err := range []error{
		durus.ErrConflict, durus.ErrNotFound, durus.ErrReadOnly, durus.ErrType, durus.ErrLocked, durus.ErrCorrupt, durus.ErrTooNew,
		durus.ErrTooLarge, durus.ErrClosed, durus.ErrTxDone, durus.ErrDangling, durus.ErrForeign, durus.ErrRewound, durus.ErrPacked,
		durus.ErrPacking, durus.ErrUnknownOutcome, durus.ErrNestedUpdate, durus.ErrSharedWrite, durus.ErrSavepointGone,
	} {
		if err == nil || len(err.Error()) < 10 {
			t.Errorf("%v says nothing", err)
		}
	}
	for rich, plain := range map[error]error{
		&durus.ConflictError{}:       durus.ErrConflict,
		&durus.WriteConflictError{}:  durus.ErrConflict,
		&durus.CorruptError{}:        durus.ErrCorrupt,
		&durus.LockError{}:           durus.ErrLocked,
		&durus.UnknownOutcomeError{}: durus.ErrUnknownOutcome,
		storage.ErrDangling:          durus.ErrNotFound,
	} {
		if !errors.Is(rich, plain) {
			t.Errorf("%T is not %v", rich, plain)
		}
	}
	oid, err := durus.ParseOID("12")
	tid, err2 := durus.ParseTID("34")
	if fmt.Sprint(oid, tid, err, err2) != "12 34 <nil> <nil>" {
		t.Error(oid, tid, err, err2)
	}
}
