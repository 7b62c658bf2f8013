package child

import (
	"bytes"
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
// and those of the directory path.
func Files(path string, f func(name string, size int64) error) error {
	return filepath.WalkDir(filepath.Dir(path), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(name, path) {
			return err
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		return f(name, info.Size())
	})
}
