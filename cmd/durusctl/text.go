package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/durusdb/durus/storage"
)

// isTerminal reports whether somebody sees what is written to w. It takes the
// null device for a terminal, where nobody is hurt by it.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// printJSON writes v as one line.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// bold marks text on a terminal.
func (a *app) bold(s string) string { return a.style("1", s) }

// red is for what is wrong.
func (a *app) red(s string) string { return a.style("31", s) }

func (a *app) style(code, s string) string {
	if !a.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// plain makes text from a file fit for a terminal: control characters, marks
// that change the direction of writing, and broken UTF-8 become escapes.
func plain(s string) string {
	odd := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
	}
	if utf8.ValidString(s) && strings.IndexFunc(s, odd) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case odd(r):
			q := strconv.QuoteRune(r)
			if strings.HasPrefix(q, `'\`) {
				b.WriteString(q[1 : len(q)-1])
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// sizeText is a number of bytes for people.
func sizeText(n int64) string {
	if n < 1024 {
		return count(uint64(n), "byte")
	}
	f, unit := float64(n), -1
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB (%d bytes)", f, "KMGTP"[unit], n)
}

// count is a number of things.
func count(n uint64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// oidStrings makes a list that JSON prints as [] when it is empty.
func oidStrings(oids []storage.OID) []string {
	list := make([]string, len(oids))
	for i, o := range oids {
		list[i] = o.String()
	}
	return list
}
