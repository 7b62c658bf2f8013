// Package exclusive lets one process write to a storage that has no locks.
//
// Who wants to write creates a file beside the lock file, which only one of
// several can do (FailIfExists); it holds a random token. As long as it is
// there everybody else is refused. Release removes it. A process that was
// killed leaves it behind, and nobody can know from outside whether its owner
// lives: a person removes the file when he knows. Before every hold of the lock
// the token is read again, so that an owner whose file was removed although he
// lives stops writing.
//
// An FS of this package has a Locker for every storage: between the handles of
// its own program it excludes, and the mark of the lock file is an ordinary
// file's.
//
// Package exclusive imports the package vfs and nothing else of this module.
package exclusive
