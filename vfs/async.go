package vfs

// Async is implemented by the files of an asynchronous storage. Their
// operations do not wait: they answer ErrAgain when they have begun, or wait
// for their turn.
//
// An operation is known by its method, offset and length. Called again, it
// answers ErrAgain until it is done, and then, once, with its result; the call
// after that begins anew. So a read that failed is tried again by the next
// call, and one that nobody asks for again may be forgotten. Bytes that are to
// be written must stay as they are until the result is there. Whoever calls
// what another goroutine is waiting for joins an operation that began before
// his call, and its answer may be as old; who cannot bear that must not call at
// the same time (Blocking sees to it).
type Async interface {
	Ready

	// OnOpen calls fn once, when the opening of the file has ended, well or
	// not: now, if it has. It begins the opening if nothing else has. fn must
	// not block. Several may be registered.
	OnOpen(fn func(err error))
}

// Ready is implemented by the files and writers of an asynchronous storage.
type Ready interface {
	// OnReady sets the function that is called whenever something that was
	// answered with ErrAgain can be asked for again; nil is none. There is one
	// call for what became ready since the last one began. fn runs on a
	// goroutine of the storage, which holds no lock: it may use the file, close
	// it and set another function, but must not block. No call is running or
	// will come when Close (or Commit, Abort) has returned, unless that was
	// called by fn itself.
	OnReady(fn func())
}
