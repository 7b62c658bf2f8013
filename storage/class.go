package storage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a class table holds is the name of a class, and the version of its type
// where the program gave one: "bank.Account", "bank.Account@2". Each spelling
// has a class number of its own, so a record says with its class number which
// version wrote it. This file is the one place that knows the spelling; it is
// part of the file format.
//
// A third spelling, of which there are no records, says what a class without a
// version may be as old as: "bank.Account@0=1". Programs whose types have
// versions enter it when they meet the class without one. It lets a later program that
// has dropped its oldest steps tell that such an object is too old for it,
// instead of taking it for younger than it is.

const (
	// MaxVersion is the greatest version of a class.
	MaxVersion = math.MaxInt32
	// ReservedClasses is what the names of classes begin with that belong to
	// this module.
	ReservedClasses = "durus."

	versionMark = "@"
	baseMark    = "@0="
)

// ClassName is how a class table spells the class with this name at this
// version, from 1 to MaxVersion; 0 means without a version.
func ClassName(name string, version int) string {
	if version == 0 {
		return name
	}
	return name + versionMark + strconv.Itoa(version)
}

// SplitClass is the way back from ClassName. Whatever ClassName does not write
// is a name without a version, whether a program can register it or not.
func SplitClass(spelling string) (name string, version int) {
	i := strings.LastIndex(spelling, versionMark)
	if i <= 0 {
		return spelling, 0
	}
	n, err := parseDecimal(spelling[i+len(versionMark):])
	if err != nil || n == 0 || n > MaxVersion {
		return spelling, 0
	}
	return spelling[:i], int(n)
}

// BaseName is how a class table says that what has class name and no version
// counts as this version, from 0 on. Where it says several, the lowest counts.
func BaseName(name string, version int) string {
	return name + baseMark + strconv.Itoa(version)
}

// SplitBase is the way back from BaseName; ok is false for any other spelling.
func SplitBase(spelling string) (name string, version int, ok bool) {
	i := strings.LastIndex(spelling, baseMark)
	if i <= 0 {
		return "", 0, false
	}
	n, err := parseDecimal(spelling[i+len(baseMark):])
	if err != nil || n > MaxVersion {
		return "", 0, false
	}
	return spelling[:i], int(n), true
}

// ClassFault says why a program cannot give a class this name and version,
// and what to do; "" if it can.
func ClassFault(name string, version int) string {
	switch {
	case name == "" || !utf8.ValidString(name):
		return "a class name is 1 or more bytes of UTF-8: give it one"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "a class name has no control characters, which would not be seen where it is shown: leave them out"
	case len(name) > MaxClassName || version > 0 && len(BaseName(name, MaxVersion)) > MaxClassName:
		return fmt.Sprintf("a class name takes at most %d bytes, with its version: choose a shorter one", MaxClassName)
	case strings.HasPrefix(name, ReservedClasses):
		return fmt.Sprintf("names that begin with %q are taken: choose another", ReservedClasses)
	case strings.Contains(name, versionMark):
		return fmt.Sprintf("%q separates name and version of a class in the file: choose a name without it", versionMark)
	}
	return ""
}
