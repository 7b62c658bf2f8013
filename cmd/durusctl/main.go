// Durusctl looks into durus databases from the command line.
//
//	durusctl COMMAND FILE [ARGS]
//
// Each command is one file of this package, thin over package filestorage:
// what it knows of the file format is asked there. Pictures are drawn by package
// picture, which knows no database.
//
// # Invariants
//
//   - No command writes to a database, creates a file or takes a lock, but for
//     those whose help says so (index, pack, retype, restore): files are opened in one
//     place (open.go), with ReadOnly by all others. Salvage and load make new files,
//     and replace none.
//   - Data goes to standard output, everything else to standard error, so that
//     --json can be piped. Keys are never renamed; object and transaction ids
//     are strings, since they may not fit the numbers of other languages.
//   - What comes from a file is never sent to a terminal as it is: control
//     characters are escaped (text.go).
//   - Exit codes are those of exit.go.
//
// It may import the packages of this module that its commands are about, and
// cobra. It reaches files through package vfs, like everybody else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// interruptGrace is how long a command may take to end after Ctrl-C.
const interruptGrace = 500 * time.Millisecond

func main() {
	// A reader who has seen enough (durusctl log FILE | head) is no failure:
	// the write answers with EPIPE, and exit.go keeps silent about it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, func() {
		stop() // the second Ctrl-C kills
		time.Sleep(interruptGrace)
		os.Exit(exitInterrupted) // opening a huge file does not listen; there is nothing to clean up
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
