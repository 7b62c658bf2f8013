package storage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a class table holds is the name of a class, and the version of its type
// where the program gave one: "bank.Account", "bank.Account@2". Each spelling
// has a class number of its own, so a record says with its class number which
// version wrote it. This file is the one place that knows the spelling; it is
// part of the file format.

const (
	// MaxVersion is the greatest version of a class.
	MaxVersion = math.MaxInt32
	// ReservedClasses is what the names of classes begin with that belong to
	// this module.
	ReservedClasses = "durus."

	versionMark = "@"
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

// ClassFault says why a program cannot give a class this name and version,
// and what to do; "" if it can.
func ClassFault(name string, version int) string {
	switch {
	case name == "" || !utf8.ValidString(name):
		return "a class name is 1 or more bytes of UTF-8: give it one"
	case len(ClassName(name, version)) > MaxClassName:
		return fmt.Sprintf("a class name takes at most %d bytes, with its version: choose a shorter one", MaxClassName)
	case strings.HasPrefix(name, ReservedClasses):
		return fmt.Sprintf("names that begin with %q are taken: choose another", ReservedClasses)
	case strings.Contains(name, versionMark):
		return fmt.Sprintf("%q separates name and version of a class in the file: choose a name without it", versionMark)
	}
	return ""
}
