package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/durusdb/durus/internal/codec"
	"github.com/durusdb/durus/storage"
	"github.com/durusdb/durus/vfs"
)

// Nothing in a file reaches the terminal as a command to it.
func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"pay 5 € to Ünal, 日本":   "pay 5 € to Ünal, 日本",
		"a\x1b[2J\x07":          `a\x1b[2J\a`,
		"two\nlines\tand\x7f":   `two\nlines\tand\x7f`,
		"\xff\xc3":              `\xff\xc3`,
		"evil\u202etxt.exe":     `evil\u202etxt.exe`,
		"\u009b31m":             `\u009b31m`,
		"one\u2028two\u2029end": `one\u2028two\u2029end`,
		"\ufffd":                "\ufffd",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for n, want := range map[int64]string{
		0:             "0 bytes",
		1:             "1 byte",
		1023:          "1023 bytes",
		1024:          "1.0 KiB (1024 bytes)",
		1536:          "1.5 KiB (1536 bytes)",
		5 << 30:       "5.0 GiB (5368709120 bytes)",
		1<<63 - 1:     "8192.0 PiB (9223372036854775807 bytes)",
		1<<20 + 1<<18: "1.2 MiB (1310720 bytes)",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("sizeText(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestObjectsText(t *testing.T) {
	from := func(first storage.OID, n int) (oids []storage.OID) {
		for i := range n {
			oids = append(oids, first+storage.OID(i))
		}
		return oids
	}
	for _, c := range []struct {
		oids []storage.OID
		want string
	}{
		{nil, "0 objects"},
		{from(7, 1), "7"},
		{from(1, 10), "1,2,3,4,5,6,7,8,9,10"},
		{from(1, 11), "1,2,3,4,5,6,7,8,9,+2"},
		{from(997502, 2500), "997502,997503,+2498"},
		{from(storage.MaxOID, 1), "281474976710655"},
		{from(storage.MaxOID-3000, 2500), "2500 objects"},
	} {
		if got := objectsText(c.oids, 20); got != c.want || len(got) > 20 {
			t.Errorf("%d objects: %q, want %q", len(c.oids), got, c.want)
		}
	}
}

func TestTree(t *testing.T) {
	nested := any(1)
	for range codec.MaxDepth - 1 {
		nested = []any{nested}
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "nil\n"},
		{true, "true\n"},
		{-5, "-5\n"},
		{float32(0.1), "0.1\n"},
		{"", "\"\"\n"},
		{[]byte{}, "0x\n"},
		{[]any{}, "[]\n"},
		{map[string]any{}, "{}\n"},
		{[]any{1, []any{}, []any{2, 3}, map[string]any{"a": 4}}, "- 1\n- []\n-\n  - 2\n  - 3\n-\n  a: 4\n"},
		{map[string]any{"a": map[string]any{"b": []any{nil}}}, "a:\n  b:\n    - nil\n"},
		{map[string]any{"a b": 1}, "\"a b\": 1\n"},
		{map[string]any{"": 1}, "\"\": 1\n"},
		{map[string]any{"\x1b": 1}, "\"\\x1b\": 1\n"},
		{"\x1b[2J", "\"\\x1b[2J\"\n"},
		{strings.Repeat("é", 300), "\"" + strings.Repeat("é", 200) + "\"... (600 bytes)\n"},
		{"x" + strings.Repeat("é", 300), "\"x" + strings.Repeat("é", 199) + "\"... (601 bytes)\n"},
		{strings.Repeat("\x80", 401), `"` + strings.Repeat(`\x80`, 396) + `"... (401 bytes)` + "\n"},
		{bytes.Repeat([]byte{1}, 33), "0x" + strings.Repeat("01", 32) + "... (33 bytes)\n"},
	} {
		if got := printed(t, c.value); got != c.want {
			t.Errorf("%#v prints\n%swant\n%s", c.value, got, c.want)
		}
	}
	if got := printed(t, nested); strings.Count(got, "-") != codec.MaxDepth-1 {
		t.Errorf("%d levels are printed as %q", codec.MaxDepth-1, got)
	}
}

func printed(t *testing.T, v any) string {
	t.Helper()
	var payload, out bytes.Buffer
	enc := msgpack.NewEncoder(&payload)
	enc.UseCompactInts(true)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	value, err := codec.Readable(payload.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	tree{out: &out}.print(value)
	return out.String()
}

// The line comes late, not too often, and goes away.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{to: &out, width: 100, what: "verify", unit: shortSize, began: time.Now().Add(-10 * time.Second), next: time.Now().Add(time.Hour)}
	p.update(1, 10)
	p.end()
	if out.Len() != 0 {
		t.Errorf("short work prints %q", out.String())
	}
	p.next = time.Now().Add(-time.Second)
	p.update(5120, 10240)
	p.update(6000, 10240)
	p.end()
	if want := regexp.MustCompile(`^\rverify \[############............\]  50 % of 10.0 KiB, 51[12] B/s, 10s left\x1b\[K\r\x1b\[K$`); !want.MatchString(out.String()) {
		t.Errorf("it prints %q", out.String())
	}
	out.Reset()
	p.width, p.unit, p.next = 40, objectCount, time.Now().Add(-time.Second)
	p.update(5000, 10000)
	if want := "\rverify [#####.....]  50 % of 10000 obj…\x1b[K"; out.String() != want {
		t.Errorf("on a narrow terminal it prints %q, want %q", out.String(), want)
	}
	out.Reset()
	a := &app{err: &out}
	q := a.progress("verify")
	q.update(1, 2)
	q.end()
	if out.Len() != 0 || !q.next.IsZero() {
		t.Errorf("where nobody looks it prints %q", out.String())
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{fmt.Errorf("write: %w", syscall.EPIPE), 0},
		{errors.New("whatever"), 1},
		{&storage.CorruptError{}, 1},
		{fs.ErrPermission, 1},
		{storage.ErrRewound, 1},
		{usageError{}, 2},
		{problemsError{"x", 2}, 3},
		{fmt.Errorf("x: %w", storage.ErrNotDurus), 4},
		{storage.ErrTooNew, 4},
		{vfs.ErrNotRegular, 4},
		{&storage.LockError{}, 5},
		{storage.ErrPacking, 5},
		{context.DeadlineExceeded, 5},
		{explain(storage.ErrNotFound, "x"), 6},
		{storage.ErrDangling, 6},
		{&fs.PathError{Err: syscall.ENOENT}, 6},
		{fmt.Errorf("x: %w", context.Canceled), 130},
		{errors.Join(context.Canceled, storage.ErrNotFound), 130},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
	}
}
