//go:build !linux

package limit

import (
	"errors"
	"os"
)

// locks tells whether lock works here.
const locks = false

func datasync(f *os.File) error { return f.Sync() }

func lock(*os.File, bool) error { return errors.ErrUnsupported }
