//go:build !linux

package posix

// rewrite writes bytes again.
func (f *file) rewrite(p []byte, off int64) (int, error) { return f.write("rewrite", p, off) }
