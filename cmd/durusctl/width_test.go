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

func TestWidthOf(t *testing.T) {
	t.Setenv("COLUMNS", "")
	if n := widthOf(&bytes.Buffer{}); n != 0 {
		t.Errorf("what is no terminal has %d columns", n)
	}
	for text, want := range map[string]int{"120": 120, "0": 0, "-5": 0, "wide": 0} {
		t.Setenv("COLUMNS", text)
		if n := widthOf(&bytes.Buffer{}); n != want {
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
