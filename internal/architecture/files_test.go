package architecture

import (
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// mayTouchFiles are the packages whose trade is files, the one that asks how large
// a terminal is, and the three for tests whose files are no databases.
var mayTouchFiles = []string{"vfs/posix", "lockfile", "cmd/durusctl/terminal", "internal/history", "internal/mistake", "internal/architecture"}

// harmless is what every other package may use of the packages that can reach
// files. A package that maps to nil may not be imported at all.
var harmless = map[string]*regexp.Regexp{
	// Values, types and process facts: nothing of it opens, names or changes a file.
	"os": regexp.MustCompile(`^(Args|Exit|Stdin|Stdout|Stderr|Getenv|LookupEnv|Environ|Getpid|Getuid|Hostname|` +
		`Interrupt|Kill|Signal|FileMode|Mode[A-Z]\w*|DevNull|PathSeparator|PathError|SyscallError|Err[A-Z]\w*)$`),
	// Error numbers and signals.
	"syscall": regexp.MustCompile(`^(E[A-Z0-9]+|Errno|SIG[A-Z0-9]+|Signal)$`),
	// Names are strings; what asks the file system is not here.
	"path/filepath": regexp.MustCompile(`^(Base|Clean|Dir|Ext|FromSlash|IsAbs|IsLocal|Join|Match|Rel|Separator|` +
		`Split|ToSlash|VolumeName)$`),
	"io/ioutil": nil,
	"os/exec":   nil,
	"plugin":    nil,
}

// examplesMay is what examples may use besides: a place for their database, and
// processes that share it.
var examplesMay = map[string]*regexp.Regexp{
	"os":      regexp.MustCompile(`^(MkdirTemp|RemoveAll|TempDir|Executable)$`),
	"os/exec": regexp.MustCompile(`^(Cmd|Command|CommandContext)$`),
	"syscall": regexp.MustCompile(`^SysProcAttr$`),
}

// onlyPosixTouchesFiles finds code that reaches files past package vfs. A
// package that does can neither be tested with power cuts nor moved to another
// storage.
func onlyPosixTouchesFiles(t *tree) []finding {
	var found []finding
	for _, f := range t.files {
		if f.test || slices.Contains(mayTouchFiles, f.dir) {
			continue
		}
		names := map[string]string{} // name in this file -> import path
		for _, imp := range importsOf(f) {
			allowed, watched := harmless[imp.path]
			if allowed == nil && isExample(f) {
				allowed = examplesMay[imp.path]
			}
			switch {
			case strings.HasPrefix(imp.path, "golang.org/x/sys/"), watched && allowed == nil:
				found = append(found, finding{t.at(imp.pos), fmt.Sprintf("%s imports %s: files are reached through package vfs", f.dir, imp.path)})
			case watched && imp.name == ".":
				found = append(found, finding{t.at(imp.pos), fmt.Sprintf("%s has a dot import of %s, which hides what it uses", f.dir, imp.path)})
			case watched:
				names[imp.name] = imp.path
			}
		}
		if len(names) > 0 {
			found = append(found, fileCalls(t, f, names)...)
		}
	}
	return found
}

func fileCalls(t *tree, f *source, names map[string]string) []finding {
	var found []finding
	ast.Inspect(f.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		pkg, ok := names[x.Name]
		if !ok || mayUse(harmless[pkg], sel.Sel.Name) || isExample(f) && mayUse(examplesMay[pkg], sel.Sel.Name) {
			return true
		}
		found = append(found, finding{t.at(sel.Pos()), fmt.Sprintf("%s uses %s.%s: files are reached through package vfs", f.dir, pkg, sel.Sel.Name)})
		return true
	})
	return found
}

func isExample(f *source) bool { return strings.HasPrefix(f.dir, "examples/") }

func mayUse(names *regexp.Regexp, name string) bool { return names != nil && names.MatchString(name) }
