package vfs

// Notifier is implemented by storages that can tell when files change, whoever
// changes them. A wrapper need not implement it: who wants to know looks at the
// files now and then where nobody tells him, and seldom where somebody does.
type Notifier interface {
	// Notify calls changed soon after something was appended to or written into
	// one of the files, or its name was given to another file or removed; a name
	// that leads nowhere yet is one to come. The names lie in one directory.
	// Several changes may be told by one call, and calls may come without a
	// reason. changed must not block; it is never called during Notify, and once
	// more at most after stop, which may be called from anywhere.
	//
	// An error means that nothing will be told, because the system has run out
	// of what it takes, for example. What others change on a network file system
	// is not told anywhere.
	Notify(names []string, changed func()) (stop func(), err error)
}
