package vfs

// RemoteChecker is implemented by an FS whose Props.Remote is not the same
// for every name: a POSIX tree may hold mounts of other machines.
type RemoteChecker interface {
	// Remote reports whether the name, or the directory of a name that does
	// not exist yet, lies on a file system that other machines can write to
	// behind this one's cache: there, neither locks nor the size of a file can
	// be relied on. kind is the file system's name ("nfs"), for messages.
	Remote(name string) (remote bool, kind string, err error)
}

// Remote asks fsys about name: its RemoteChecker if it has one, else its Props.
func Remote(fsys FS, name string) (remote bool, kind string, err error) {
	if c, ok := fsys.(RemoteChecker); ok {
		return c.Remote(name)
	}
	return fsys.Props().Remote, "", nil
}
