package architecture

import (
	"fmt"
	"slices"
	"strings"
)

// dependencies are the modules of others that an application which embeds
// durus may come to compile, and who may import them.
var dependencies = map[string][]string{
	"github.com/gofrs/flock":            {"lockfile"},
	"github.com/vmihailenco/msgpack/v5": {"internal/codec", "durus"},
	"golang.org/x/sys":                  {"vfs/...", "lockfile", "internal/history", "cmd/..."},
	"github.com/spf13/cobra":            {"cmd/..."},
}

// testDependencies may be used by tests, and by packages that only tests import.
var testDependencies = []string{
	"pgregory.net/rapid",
	"github.com/anishathalye/porcupine",
	"github.com/rogpeppe/go-internal",
}

// forTests are the packages that only tests import.
var forTests = []string{"internal/history", "internal/architecture", "vfs/vfstest"}

func dependenciesAreFew(t *tree) []finding {
	found := requirements(t)
	for _, f := range t.files {
		for _, imp := range importsOf(f) {
			if _, ours := t.local(imp.path); ours || standard(imp.path) {
				continue
			}
			inTest := f.test || slices.Contains(forTests, f.dir)
			if why := refuse(imp.path, f.dir, inTest); why != "" {
				found = append(found, finding{t.at(imp.pos), fmt.Sprintf("%s imports %s, %s", f.dir, imp.path, why)})
			}
		}
	}
	return found
}

// refuse says why a package may not import a path of another module.
func refuse(importPath, dir string, inTest bool) string {
	if moduleOf(importPath, testDependencies) != "" {
		if inTest {
			return ""
		}
		return "which is for tests"
	}
	for module, users := range dependencies {
		if moduleOf(importPath, []string{module}) == "" {
			continue
		}
		if inTest || matches(users, dir) {
			return ""
		}
		return "which is for " + strings.Join(users, ", ") + " only"
	}
	return "which is not among the agreed dependencies"
}

// requirements looks at go.mod: nothing but the agreed modules, the test
// dependencies in a block of their own, no local detours.
func requirements(t *tree) []finding {
	var found []finding
	var engine, tests bool // what the block at hand holds
	for i, line := range strings.Split(t.goMod, "\n") {
		where := fmt.Sprintf("go.mod:%d", i+1)
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasSuffix(line, "// indirect"):
			continue
		case fields[0] == "replace" || fields[0] == "exclude":
			found = append(found, finding{where, fields[0] + " does not work for those who import this module"})
			continue
		case fields[0] == ")" || fields[0] == "require" && fields[1] == "(":
			engine, tests = false, false
			continue
		case fields[0] == "require":
			fields = fields[1:]
			engine, tests = false, false
		case line[0] != '\t':
			continue // module, go, toolchain, comments
		}
		_, known := dependencies[fields[0]]
		isTest := slices.Contains(testDependencies, fields[0])
		if !known && !isTest {
			found = append(found, finding{where, fields[0] + " is not among the agreed dependencies"})
		}
		engine, tests = engine || known, tests || isTest
		if engine && tests {
			found = append(found, finding{where, "test dependencies stand in a block of their own"})
		}
	}
	return found
}

// moduleOf returns the module in the list that a package belongs to.
func moduleOf(importPath string, modules []string) string {
	for _, m := range modules {
		if importPath == m || strings.HasPrefix(importPath, m+"/") {
			return m
		}
	}
	return ""
}

// standard tells the standard library: its paths have no dot in the first element.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}
