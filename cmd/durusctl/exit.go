package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Exit codes, part of the contract with scripts.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitProblems    = 3
	exitNotDurus    = 4
	exitLocked      = 5
	exitNotFound    = 6
	exitInterrupted = 130
)

// usageError is a command line that makes no sense.
type usageError struct {
	text    string
	command string // whose help to look at
}

func (e usageError) Error() string { return e.text }

// problemsError says that verify found something.
type problemsError struct {
	path string
	n    uint64
}

func (e problemsError) Error() string {
	return fmt.Sprintf("%s has %s: make a copy of it before anything else, then restore a backup, or see what 'durusctl salvage' can do", e.path, problems(e.n))
}

// backupProblemsError says that a directory of backups has problems.
type backupProblemsError struct {
	dir string
	n   int
}

func (e backupProblemsError) Error() string {
	return fmt.Sprintf("%s has %s: make a full backup elsewhere before anything else", e.dir, problems(uint64(e.n)))
}

// problems counts them in words.
func problems(n uint64) string {
	if n == 1 {
		return "a problem"
	}
	return fmt.Sprintf("%d problems", n)
}

// exitCode sorts errors. The order matters: an error may wrap several.
func exitCode(err error) int {
	var usage usageError
	var problems problemsError
	var loss lossError
	var backupProblems backupProblemsError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE):
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &problems), errors.As(err, &backupProblems), errors.As(err, &loss):
		return exitProblems
	case errors.Is(err, context.Canceled): // by the one signal that main listens to
		return exitInterrupted
	case errors.Is(err, storage.ErrNotDurus), errors.Is(err, storage.ErrTooNew), errors.Is(err, vfs.ErrNotRegular):
		return exitNotDurus
	case errors.Is(err, storage.ErrLocked), errors.Is(err, storage.ErrPacking), errors.Is(err, context.DeadlineExceeded):
		return exitLocked
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, storage.ErrPacked), errors.Is(err, fs.ErrNotExist):
		return exitNotFound
	}
	return exitFailed
}

// fail tells the user about an error and returns the exit code.
func (a *app) fail(err error) int {
	code := exitCode(err)
	if code == exitOK || code == exitInterrupted {
		return code
	}
	lines := strings.FieldsFunc(strings.TrimPrefix(err.Error(), "durus: "), func(r rune) bool { return r == '\n' })
	a.note("%s", strings.Join(lines, "; ")) // joined errors are lines
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(a.err, "Try '%s --help'.\n", usage.command)
	}
	return code
}

// note prints a line for people, after the data that it is about.
func (a *app) note(format string, args ...any) {
	a.out.Flush() // an error stays, and comes back from the last Flush
	fmt.Fprintln(a.err, wrap("durusctl: "+plain(fmt.Sprintf(format, args...)), a.errWidth, 0))
}
