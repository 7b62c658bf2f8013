// Package architecture holds no code, only the tests that hold the others to
// the design: which way imports point, who may touch files, what the module
// depends on, and what every source file has in common.
//
// Each rule is a function from a source tree to what it finds wrong, and runs
// twice: on this module, where it must find nothing, and on small trees that
// break it, where it must find the breach.
package architecture
