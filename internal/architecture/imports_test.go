package architecture

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// allowed says which packages of this module the non-test code of a package
// may import. A key or entry that ends in /... stands for all packages below,
// and keys without it are looked at first. Whatever is not listed is forbidden.
var allowed = map[string][]string{
	"storage": {},
	"vfs":     {},

	"vfs/...":   {"vfs", "vfs/wrap"}, // back ends and wrappers
	"vfs/posix": {"vfs", "lockfile"},
	"lockfile":  {"vfs"},

	"filestorage": {"storage", "vfs", "vfs/exclusive", "internal/invariant"},
	"pack":        {"storage", "filestorage", "internal/invariant"},
	"backup":      {"storage", "filestorage", "vfs", "internal/invariant"},
	"durus":       {"storage", "vfs", "internal/check", "internal/codec", "internal/collection", "internal/invariant"},

	"cmd/...":           {"durus", "storage", "filestorage", "pack", "backup", "vfs", "vfs/posix", "internal/check", "internal/codec", "internal/collection", "cmd/..."},
	"examples/...":      {"durus"},
	"examples/backend":  {"durus", "vfs"}, // shows how to write a back end
	"examples/bank":     {"durus", "pack"},
	"examples/webcache": {"durus", "pack"}, // removes much, so it packs

	"internal/check":        {"storage", "internal/codec", "internal/collection"},
	"internal/codec":        {"storage"},
	"internal/collection":   {"storage", "internal/codec"},
	"internal/invariant":    {},
	"internal/history":      {},
	"internal/mistake":      {},
	"internal/architecture": {},
	"internal/...":          {"storage", "vfs"}, // test helpers
}

// allowedInFile are the few files that know more than their package: the
// place where durus is put together, and the one method that hands out pack.
var allowedInFile = map[string][]string{
	"durus/open.go": {"filestorage", "vfs/posix", "vfs/mem", "pack"},
	"durus/pack.go": {"pack"},
}

func importsPointDown(t *tree) []finding {
	var found []finding
	unknown := map[string]bool{}
	for _, f := range t.files {
		if f.test {
			continue
		}
		list, ok := allowedFor(f.dir)
		if !ok {
			if !unknown[f.dir] {
				found = append(found, finding{f.name, f.dir + " is not in the table of packages: DESIGN section 2 has no such room"})
			}
			unknown[f.dir] = true
			continue
		}
		for _, imp := range importsOf(f) {
			dir, ours := t.local(imp.path)
			if !ours || matches(list, dir) || slices.Contains(allowedInFile[f.name], dir) {
				continue
			}
			found = append(found, finding{t.at(imp.pos), fmt.Sprintf("%s must not import %s", f.dir, dir)})
		}
	}
	return found
}

// allowedFor finds the entry for a package, the nearest /... above it if it has none.
func allowedFor(dir string) (list []string, ok bool) {
	if list, ok = allowed[dir]; ok {
		return list, true
	}
	for up := path.Dir(dir); up != "."; up = path.Dir(up) {
		if list, ok = allowed[up+"/..."]; ok {
			return list, true
		}
	}
	return nil, false
}

func matches(list []string, dir string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		if above, ok := strings.CutSuffix(entry, "..."); ok {
			return strings.HasPrefix(dir, above)
		}
		return dir == entry
	})
}
