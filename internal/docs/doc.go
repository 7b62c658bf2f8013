// Package docs holds no code, only the tests that hold the documents of this
// module to the code: links lead somewhere, Go blocks are part of programs that
// compile, and tables name what there is.
//
// What else is held elsewhere: examples/guide runs the programs of the guide,
// examples/notes that of README.md, cmd/durusctl looks at the command lines, and
// filestorage at the dumps in docs/format.md.
package docs
