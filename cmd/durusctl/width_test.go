package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/durusdb/durus/internal/codec"
)

// A table fits the terminal as long as its numbers do; text is cut, the widest first.
func TestTableFits(t *testing.T) {
	print := func(width int) []string {
		var out bytes.Buffer
		a := &app{out: bufio.NewWriter(&out), width: width}
		tab := table{header: []string{"CLASS", "BYTES", "NOTE"}, right: map[int]bool{1: true}}
		tab.add(strings.Repeat("a", 50), "1234567890", strings.Repeat("é", 30))
		tab.add("b", "1", "c")
		a.printTable(&tab)
		a.out.Flush()
		return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	}
	for _, width := range []int{0, 200, 94, 80, 40, 30, 10} {
		lines := print(width)
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); width >= 30 && n > width {
				t.Errorf("width %d: %d columns: %s", width, n, l)
			}
		}
		if !strings.Contains(lines[1], "1234567890") {
			t.Errorf("width %d cuts a number: %s", width, lines[1])
		}
		if cut := strings.Contains(lines[1], "…"); cut != (width > 0 && width < 94) {
			t.Errorf("width %d: %s", width, lines[1])
		}
	}
}

// Columns that are spare go before anything is cut.
func TestTableDropsColumns(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: bufio.NewWriter(&out), width: 24}
	tab := table{header: []string{"CLASS", "BYTES", "AVERAGE", "TID"}, right: map[int]bool{1: true, 2: true}, whole: map[int]bool{3: true}, spare: []int{2, 1}}
	tab.add("bank.Account", "12345", "12345", "123456789")
	a.printTable(&tab)
	a.out.Flush()
	if got, want := out.String(), "CLASS         TID\nbank.Account  123456789\n"; got != want {
		t.Errorf("it prints\n%swant\n%s", got, want)
	}
}

// A table that is printed as it is read gives up columns in the order that it says.
func TestColumnsFit(t *testing.T) {
	for width, want := range map[int]string{
		0:  "TID        WHO   THINGS      NOTE\n1234567    ada   1,2,3,4,5   a word or two",
		49: "TID        WHO   THINGS      NOTE\n1234567    ada   1,2,3,4,5   a word or two",
		48: "TID        WHO   THINGS     NOTE\n1234567    ada   1,2,3,4,5  a word or two",
		44: "TID        WHO  THINGS  NOTE\n1234567    ada  1,2,3…  a word or two",
		40: "TID        W…  NOTE\n1234567    a…  a word or two",
		20: "TID        NOTE\n1234567    a word o…",
	} {
		a := &app{width: width}
		c := a.columns("NOTE", []int{2, 1}, column{title: "TID", width: 9}, column{title: "WHO", width: 4, least: 2}, column{title: "THINGS", width: 10, least: 6})
		if got := c.header() + "\n" + c.line("a word or two", "1234567", "ada", "1,2,3,4,5"); got != want {
			t.Errorf("width %d: it prints\n%s\nwant\n%s", width, got, want)
		}
	}
}

// Letters of East Asia take two columns, and what joins a letter none.
func TestTextWidth(t *testing.T) {
	for s, want := range map[string]int{"": 0, "é": 1, "e\u0301": 1, "日本語": 6, "— …": 3, "한글": 4, "a😀b": 4, "👩\u200d🔬": 4} {
		if got := textWidth(s); got != want {
			t.Errorf("%q takes %d columns, want %d", s, got, want)
		}
	}
	for width, want := range map[int]string{7: "日本語x", 6: "日本…", 5: "日本…", 4: "日…", 1: "…"} {
		if got := cut("日本語x", width); got != want {
			t.Errorf("cut to %d columns it is %q, want %q", width, got, want)
		}
	}
	if got := pad("日本", 6) + "|"; got != "日本  |" {
		t.Errorf("padded it is %q", got)
	}
}

func TestWrap(t *testing.T) {
	const text = "one two three incomprehensible four"
	for _, c := range []struct {
		width, indent int
		want          string
	}{
		{0, 4, text},
		{35, 0, text},
		{34, 0, "one two three incomprehensible\nfour"},
		{13, 0, "one two three\nincomprehensible\nfour"},
		{13, 3, "one two\n   three\n   incomprehensible\n   four"},
	} {
		if got := wrap(text, c.width, c.indent); got != c.want {
			t.Errorf("width %d, indent %d: %q, want %q", c.width, c.indent, got, c.want)
		}
	}
}

func TestSizeOf(t *testing.T) {
	t.Setenv("COLUMNS", "")
	t.Setenv("LINES", "")
	if columns, rows := sizeOf(&bytes.Buffer{}); columns != 0 || rows != 0 {
		t.Errorf("what is no terminal has %d columns and %d rows", columns, rows)
	}
	t.Setenv("LINES", "50")
	if columns, rows := sizeOf(&bytes.Buffer{}); columns != 0 || rows != 50 {
		t.Errorf("LINES=50: %d columns and %d rows", columns, rows)
	}
	for text, want := range map[string]int{"120": 120, "0": 0, "-5": 0, "wide": 0} {
		t.Setenv("COLUMNS", text)
		if n, _ := sizeOf(&bytes.Buffer{}); n != want {
			t.Errorf("COLUMNS=%s: %d columns, want %d", text, n, want)
		}
	}
}

// Fields are spelled as in Go.
func TestFields(t *testing.T) {
	ref := func(oid uint64) codec.RefValue { return codec.RefValue{OID: oid} }
	value := codec.Map{
		{Key: "Owner", Value: ref(2)},
		{Key: "Address", Value: codec.Map{{Key: "City", Value: "Bath"}}},
		{Key: "Tags", Value: []any{"a", []any{ref(3)}}},
		{Key: "Limits", Value: codec.Map{{Key: "a b", Value: nil}, {Key: uint64(7), Value: ref(4)}}},
		{Key: "ByRef", Value: codec.Map{{Key: ref(5), Value: true}}},
		{Key: "Pair", Value: codec.Map{{Key: []any{"x", ref(6)}, Value: 1}}},
		{Key: "None", Value: []any{}},
		{Key: "\x1b", Value: 1},
	}
	var got, refs []string
	leaves(nil, value, func(at field, leaf any) bool {
		got = append(got, at.String())
		if r, ok := leaf.(codec.RefValue); ok {
			refs = append(refs, at.String()+"="+tree{}.scalar(r))
		}
		return true
	})
	want := `Owner Address.City Tags[0] Tags[1][0] Limits["a b"] Limits[7] ByRef{key} ByRef[@5] Pair{key}[1] Pair[("x", @6)] None ["\x1b"]`
	if s := strings.Join(got, " "); s != want {
		t.Errorf("fields are\n%s\nwant\n%s", s, want)
	}
	if s := strings.Join(refs, " "); s != "Owner=?@2 Tags[1][0]=?@3 Limits[7]=?@4 ByRef{key}=?@5 Pair{key}[1]=?@6" {
		t.Errorf("references are %s", s)
	}
	n := 0
	leaves(nil, value, func(field, any) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("it goes on after %d leaves", n)
	}
}
