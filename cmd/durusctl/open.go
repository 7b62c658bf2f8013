package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/durusdb/durus/filestorage"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
	"github.com/durusdb/durus/vfs/posix"
)

// open opens a database to look at it: nothing is created, touched or locked.
func open(path string) (*filestorage.Storage, error) {
	return openWith(path, filestorage.Options{ReadOnly: true})
}

// openToWrite opens a database that exists, as a program would.
func openToWrite(path string) (*filestorage.Storage, error) {
	return openWith(path, filestorage.Options{MustExist: true})
}

func openWith(path string, opts filestorage.Options) (*filestorage.Storage, error) {
	opts.FS = posix.New()
	opts.Logger = slog.New(slog.DiscardHandler) // what matters comes back as an error
	st, err := filestorage.Open(path, opts)
	if err != nil {
		return nil, explainOpen(path, err)
	}
	return st, nil
}

// explainOpen says what to do about a database that cannot be opened.
func explainOpen(path string, err error) error {
	switch {
	case path == "":
		return explain(err, "the name of the file is empty: name the database file")
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrTooNew), errors.Is(err, storage.ErrNotDurus):
		return err // says itself what to do
	case errors.Is(err, fs.ErrNotExist):
		return explain(err, path+" does not exist: check the path; a database is created by the first program that writes to it")
	case errors.Is(err, vfs.ErrNotRegular):
		return explain(err, path+" is not a regular file, but a directory or a device: name the database file itself")
	case errors.Is(err, fs.ErrPermission):
		return explain(err, strings.TrimPrefix(err.Error(), "durus: open: posix: ")+": run as a user who may read the file, its lock file and its directory")
	}
	return err
}

// explainMissing says that a file does not exist, if it is that one.
func explainMissing(path string, err error) error {
	if _, statErr := posix.New().Stat(path); !errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	return explain(err, path+" does not exist: check the path")
}

// explained is an error in words that are for the user alone.
type explained struct {
	err  error
	text string
}

func explain(err error, text string) error { return &explained{err, text} }

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }
