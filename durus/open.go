package durus

import (
	"context"
	"errors"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/pack"
	"github.com/durusdb/durus/vfs/mem"
	"github.com/durusdb/durus/vfs/posix"
)

// Open opens a database file, and creates it if it does not exist. Any number
// of processes may have it open and write to it at once; Open waits for none of
// them. nil options are the safest defaults.
//
// Errors: fs.ErrNotExist (with Options.MustExist or ReadOnly), fs.ErrPermission,
// ErrNotDurus, ErrTooNew, ErrCorrupt.
func Open(path string, opts *Options) (*DB, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.FS == nil {
		o.FS = posix.New()
	}
	st, err := filestorage.Open(path, filestorage.Options{
		FS:          o.FS,
		ReadOnly:    o.ReadOnly,
		MustExist:   o.MustExist,
		Sync:        o.Sync,
		SyncEvery:   o.SyncEvery,
		LockTimeout: o.LockTimeout,
		Perm:        o.Perm,
		Logger:      o.Logger,
		AllowRemote: o.AllowRemote,
	})
	if err != nil {
		return nil, err
	}
	db, err := open(st, o, path)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	db.packer = filePacker{st}
	return db, nil
}

// filePacker packs a record file.
type filePacker struct{ st *filestorage.Storage }

func (p filePacker) Pack(ctx context.Context, o pack.Options) (pack.Report, error) {
	return pack.Pack(ctx, p.st, o)
}

// OpenMemory opens a new database that lives in memory, with the same
// semantics, and ends with its handle. Options.FS is not looked at.
func OpenMemory(opts *Options) (*DB, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.FS = mem.NewVolatile().Process("memory")
	return Open("memory.durus", &o)
}
