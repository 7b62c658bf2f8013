package storage

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Every class that a program may register comes back from its spelling, and
// every spelling in a file has one reading.
func TestClassName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		version := rapid.IntRange(0, MaxVersion).Draw(t, "version")
		if ClassFault(name, version) != "" {
			return
		}
		if n, v := SplitClass(ClassName(name, version)); n != name || v != version {
			t.Fatalf("%q %d became %q %d", name, version, n, v)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[ab@0-9+ -]{0,14}`).Draw(t, "spelling")
		if n, v := SplitClass(s); ClassName(n, v) != s || n == "" && s != "" {
			t.Fatalf("%q was read as %q %d", s, n, v)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z.@0-9=]{1,9}`).Draw(t, "name")
		version := rapid.IntRange(0, MaxVersion).Draw(t, "version")
		s := BaseName(name, version)
		if n, v, ok := SplitBase(s); n != name || v != version || !ok {
			t.Fatalf("%q was read as %q %d %v", s, n, v, ok)
		}
		if n, v := SplitClass(s); n != s || v != 0 {
			t.Fatalf("%q was read as class %q version %d", s, n, v)
		}
	})
	for _, s := range []string{"", "a", "a@1", "a@0", "a@0=", "@0=1", "a@0=01", "a@0=-1", "a@0=2147483648", "a@1=1"} {
		if n, v, ok := SplitBase(s); ok {
			t.Errorf("%q was read as %q %d", s, n, v)
		}
	}
	for s, want := range map[string]int{"a@1": 1, "a@2147483647": MaxVersion, "a@b@7": 7, "a": 0, "a@": 0, "a@0": 0, "a@01": 0, "a@2147483648": 0, "@1": 0, "": 0} {
		if _, v := SplitClass(s); v != want {
			t.Errorf("%q has version %d, want %d", s, v, want)
		}
	}
	for _, name := range []string{"", "\xff", "a@b", "a@1", "durus.X", strings.Repeat("x", MaxClassName+1)} {
		if ClassFault(name, 0) == "" {
			t.Errorf("%q is no class name", name)
		}
	}
	if ClassFault(strings.Repeat("x", MaxClassName), 0) != "" || ClassFault(strings.Repeat("x", MaxClassName), 1) == "" {
		t.Error("the version counts into the length, and nothing else")
	}
}
