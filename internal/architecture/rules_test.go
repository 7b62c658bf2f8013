package architecture

import (
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// thisModule is read once for all tests, which only read it.
var thisModule = sync.OnceValues(func() (*tree, error) { return load(os.DirFS("../..")) })

func module(t *testing.T) *tree {
	t.Helper()
	m, err := thisModule()
	if err != nil {
		t.Fatal(err)
	}
	if m.module == "" || len(m.files) == 0 {
		t.Fatal("found no module two directories up")
	}
	return m
}

func TestImportsPointDown(t *testing.T)         { check(t, importsPointDown) }
func TestOnlyPosixTouchesFiles(t *testing.T)    { check(t, onlyPosixTouchesFiles) } // B1
func TestDependenciesAreFew(t *testing.T)       { check(t, dependenciesAreFew) }
func TestEveryPackageSaysWhatItIs(t *testing.T) { check(t, packagesAreDocumented) }
func TestFilesAreFormatted(t *testing.T)        { check(t, filesAreFormatted) }
func TestFilesAreShort(t *testing.T)            { check(t, filesAreShort) }
func TestNothingIsLeftForLater(t *testing.T)    { check(t, nothingIsLeftForLater) }

// TestRulesFindBreaches tests the tests: each rule must find what is wrong
// with a small tree made for it, and nothing in the same tree without it.
func TestRulesFindBreaches(t *testing.T) {
	const goMod = "module example.org/m\n\ngo 1.26\n"
	later := "TO" + "DO"
	cases := []struct {
		name  string
		rule  rule
		file  string
		text  string
		want  string // part of the one finding; empty: there must be none
		goMod string // added to go.mod
	}{
		{"storage imports ours", importsPointDown, "storage/a.go",
			"package storage\n\nimport _ \"example.org/m/vfs\"\n", "storage must not import vfs", ""},
		{"vfs imports ours", importsPointDown, "vfs/a.go",
			"package vfs\n\nimport _ \"example.org/m/storage\"\n", "vfs must not import storage", ""},
		{"filestorage picks a back end", importsPointDown, "filestorage/a.go",
			"package filestorage\n\nimport _ \"example.org/m/vfs/posix\"\n", "filestorage must not import vfs/posix", ""},
		{"filestorage imports durus", importsPointDown, "filestorage/a.go",
			"package filestorage\n\nimport _ \"example.org/m/durus\"\n", "filestorage must not import durus", ""},
		{"filestorage stays in the row", importsPointDown, "filestorage/a.go",
			"package filestorage\n\nimport _ \"example.org/m/storage\"\n", "", ""},
		{"durus knows filestorage twice", importsPointDown, "durus/tx.go",
			"package durus\n\nimport _ \"example.org/m/filestorage\"\n", "durus must not import filestorage", ""},
		{"durus opens filestorage", importsPointDown, "durus/open.go",
			"package durus\n\nimport _ \"example.org/m/filestorage\"\n", "", ""},
		{"example beside the API", importsPointDown, "examples/bank/main.go",
			"package main\n\nimport _ \"example.org/m/storage\"\n", "examples/bank must not import storage", ""},
		{"example imports durus", importsPointDown, "examples/bank/main.go",
			"package main\n\nimport _ \"example.org/m/durus\"\n", "", ""},
		{"a package nobody planned", importsPointDown, "utils/a.go",
			"package utils\n", "utils is not in the table", ""},
		{"tests may import what they like", importsPointDown, "storage/a_test.go",
			"package storage\n\nimport _ \"example.org/m/durus\"\n", "", ""},

		{"engine opens a file", onlyPosixTouchesFiles, "filestorage/a.go",
			"package filestorage\n\nimport \"os\"\n\nvar _, _ = os.Open(\"x\")\n", "os.Open", ""},
		{"engine opens a file under another name", onlyPosixTouchesFiles, "filestorage/a.go",
			"package filestorage\n\nimport disk \"os\"\n\nvar _, _ = disk.Create(\"x\")\n", "os.Create", ""},
		{"engine imports os without a name", onlyPosixTouchesFiles, "durus/a.go",
			"package durus\n\nimport . \"os\"\n", "dot import", ""},
		{"engine maps a file", onlyPosixTouchesFiles, "filestorage/a.go", // F19
			"package filestorage\n\nimport \"syscall\"\n\nvar _ = syscall.Mmap\n", "syscall.Mmap", ""},
		{"engine calls the system", onlyPosixTouchesFiles, "pack/a.go",
			"package pack\n\nimport \"golang.org/x/sys/unix\"\n\nvar _ = unix.Rename\n", "golang.org/x/sys/unix", ""},
		{"engine walks a directory", onlyPosixTouchesFiles, "pack/a.go",
			"package pack\n\nimport \"path/filepath\"\n\nvar _, _ = filepath.Glob(\"*\")\n", "filepath.Glob", ""},
		{"engine uses the old names", onlyPosixTouchesFiles, "durus/a.go",
			"package durus\n\nimport _ \"io/ioutil\"\n", "io/ioutil", ""},
		{"engine names an error", onlyPosixTouchesFiles, "filestorage/a.go",
			"package filestorage\n\nimport \"syscall\"\n\nvar _ error = syscall.ENOSPC\n", "", ""},
		{"command opens the database", onlyPosixTouchesFiles, "cmd/durusctl/main.go",
			"package main\n\nimport \"os\"\n\nfunc main() { os.ReadFile(os.Args[1]) }\n", "os.ReadFile", ""},
		{"command talks to the shell", onlyPosixTouchesFiles, "cmd/durusctl/main.go",
			"package main\n\nimport \"os\"\n\nfunc main() { println(os.Args[0]); os.Exit(1) }\n", "", ""},
		{"posix is the one", onlyPosixTouchesFiles, "vfs/posix/a.go",
			"package posix\n\nimport \"os\"\n\nvar _, _ = os.Open(\"x\")\n", "", ""},

		{"foreign import", dependenciesAreFew, "durus/a.go",
			"package durus\n\nimport _ \"example.com/fancy\"\n", "example.com/fancy", ""},
		{"test library in the engine", dependenciesAreFew, "durus/a.go",
			"package durus\n\nimport _ \"pgregory.net/rapid\"\n", "pgregory.net/rapid", ""},
		{"cobra outside the command", dependenciesAreFew, "durus/a.go",
			"package durus\n\nimport _ \"github.com/spf13/cobra\"\n", "github.com/spf13/cobra", ""},
		{"flock outside lockfile", dependenciesAreFew, "filestorage/a.go",
			"package filestorage\n\nimport _ \"github.com/gofrs/flock\"\n", "github.com/gofrs/flock", ""},
		{"test library in a test", dependenciesAreFew, "durus/a_test.go",
			"package durus\n\nimport _ \"pgregory.net/rapid\"\n", "", ""},
		{"foreign requirement", dependenciesAreFew, "durus/a.go", "package durus\n",
			"example.com/fancy", "\nrequire example.com/fancy v1.0.0\n"},
		{"indirect requirement", dependenciesAreFew, "durus/a.go", "package durus\n",
			"", "\nrequire example.com/fancy v1.0.0 // indirect\n"},
		{"replaced module", dependenciesAreFew, "durus/a.go", "package durus\n",
			"replace", "\nreplace example.com/a => ../a\n"},
		{"test requirement among the others", dependenciesAreFew, "durus/a.go", "package durus\n",
			"block of their own", "\nrequire (\n\tgithub.com/gofrs/flock v0.13.1\n\tpgregory.net/rapid v1.3.0\n)\n"},

		{"no package comment", packagesAreDocumented, "durus/doc.go", "package durus\n", "durus has no package comment", ""},
		{"no doc.go", packagesAreDocumented, "durus/tx.go", "// Package durus is it.\npackage durus\n", "durus has no package comment", ""},
		{"comment of something else", packagesAreDocumented, "durus/doc.go", "// Helpers.\npackage durus\n", "Package durus", ""},
		{"command without a comment", packagesAreDocumented, "cmd/x/main.go", "package main\n", "cmd/x has no package comment", ""},
		{"package comment", packagesAreDocumented, "durus/doc.go", "// Package durus is it.\npackage durus\n", "", ""},

		{"not formatted", filesAreFormatted, "durus/a.go", "package durus\nvar  x int\n", "gofmt", ""},
		{"formatted", filesAreFormatted, "durus/a.go", "package durus\n\nvar x int\n", "", ""},

		{"too long", filesAreShort, "durus/a.go", "package durus\n" + strings.Repeat("\n", maxLines), "lines", ""},
		{"test too long", filesAreShort, "durus/a_test.go", "package durus\n" + strings.Repeat("\n", maxTestLines), "lines", ""},
		{"long enough", filesAreShort, "durus/a.go", "package durus\n" + strings.Repeat("\n", maxLines-1), "", ""},

		{"left for later", nothingIsLeftForLater, "durus/a.go", "package durus\n\n// " + later + ": all of it\n", later, ""},
		{"left for later in words", nothingIsLeftForLater, "docs/a.md", "# A\n\n" + later + "\n", later, ""},
		{"a word that holds it", nothingIsLeftForLater, "durus/a.go", "package durus\n\nvar x" + later + "s int\n", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tr, err := load(fstest.MapFS{
				"go.mod": {Data: []byte(goMod + c.goMod)},
				c.file:   {Data: []byte(c.text)},
			})
			if err != nil {
				t.Fatal(err)
			}
			found := c.rule(tr)
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found %v in a tree that is right", found)
			case c.want != "" && len(found) != 1:
				t.Errorf("found %v, want one finding about %q", found, c.want)
			case c.want != "" && !strings.Contains(found[0].String(), c.want):
				t.Errorf("found %q, want something about %q", found[0], c.want)
			}
		})
	}
}

// A module inside the module (bench) and test data are none of the rules' business.
func TestLoadLeavesOut(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package  bad\n")}
	tr, err := load(fstest.MapFS{
		"go.mod":               {Data: []byte("module example.org/m\n")},
		"durus/doc.go":         {Data: []byte("package durus\n")},
		"durus/testdata/a.go":  bad,
		"bench/go.mod":         {Data: []byte("module example.org/m/bench\n")},
		"bench/a.go":           bad,
		".git/a.go":            bad,
		"durus/testdata/x.txt": bad,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.files) != 1 || tr.files[0].name != "durus/doc.go" {
		t.Errorf("loaded %d files, want durus/doc.go alone", len(tr.files))
	}
}
