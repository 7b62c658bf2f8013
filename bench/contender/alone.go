//go:build alone

package contender

// peers are none with the build tag alone: the check of CI is about durus and the
// limits of the machine, and the others take minutes to compile.
func peers() []Contender { return nil }
