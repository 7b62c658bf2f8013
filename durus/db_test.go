package durus

import "testing"

// The references of two open handles never have the same tag, and a closed
// handle's tag is not given to the next one.
func TestTags(t *testing.T) {
	var s tagSet
	take := func() uint64 {
		t.Helper()
		tag, err := s.take()
		if err != nil {
			t.Fatal(err)
		}
		return tag
	}
	first, second := take(), take()
	if first == 0 || second == 0 || first == second {
		t.Fatalf("tags %d and %d", first, second)
	}
	s.release(second)
	if third := take(); third == second || third == first {
		t.Errorf("tag %d again", third)
	}
	for range 1 << 16 { // once around
		tag := take()
		if tag == first || tag == 0 {
			t.Fatalf("tag %d is in use", tag)
		}
		s.release(tag)
	}
	for len(s.live) < 1<<16-1 {
		take()
	}
	if tag, err := s.take(); err == nil {
		t.Errorf("tag %d although all are taken", tag)
	}
}
