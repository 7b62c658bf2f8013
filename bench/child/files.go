package child

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// field of a file of /proc: the number behind name.
func field(data []byte, name string) float64 {
	_, rest, found := bytes.Cut(data, []byte(name))
	if !found {
		return 0
	}
	n, err := strconv.ParseFloat(string(bytes.Fields(rest)[0]), 64)
	if err != nil {
		return 0
	}
	return n
}

// Files calls f for each file of a database: those whose names begin with path,
// and those of the directory path. One that another process removes meanwhile is
// left out.
func Files(path string, f func(name string, size int64) error) error {
	return filepath.WalkDir(filepath.Dir(path), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(name, path) {
			return ignoreGone(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			return ignoreGone(err)
		}
		return ignoreGone(f(name, info.Size()))
	})
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
