//go:build dragonfly || freebsd || netbsd || openbsd

package posix

import "os"

// syncData is fsync.
func syncData(f *os.File) error { return f.Sync() }

// publishNew gives the file its name if that is free.
func publishNew(_ *os.File, temp, name string) error { return linkNew(temp, name) }

// remoteAt: each BSD has a call of its own for this, and none is asked.
func remoteAt(string) (remote bool, kind string, err error) { return false, "", nil }
