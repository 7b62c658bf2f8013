// Package terminal asks the system how large a terminal is. It imports nothing
// of this module, and opens nothing: it is given what is open.
package terminal
