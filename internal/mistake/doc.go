// Package mistake lets tests be tested: it breaks code on purpose, one promise at
// a time, and leaves the files of the module as they are. A test that passes
// with the mistake in is worth nothing.
package mistake
