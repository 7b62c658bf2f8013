package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// svg builds one picture. Colours come from classes of the page's style sheet, so
// that it follows the reader's light or dark mode.
type svg struct {
	b             strings.Builder
	width, height float64
}

func newSVG(width, height float64, label string) *svg {
	s := &svg{width: width, height: height}
	fmt.Fprintf(&s.b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, html.EscapeString(label))
	return s
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&s.b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (s *svg) rect(class, title string, x, y, w, h float64) {
	fmt.Fprintf(&s.b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"><title>%s</title></rect>`, class, x, y, max(w, 1), h, html.EscapeString(title))
}

func (s *svg) dot(class, title string, x, y, r float64) {
	fmt.Fprintf(&s.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"><title>%s</title></circle>`, class, x, y, r, html.EscapeString(title))
}

// text with an anchor: start, middle or end.
func (s *svg) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(&s.b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`, class, anchor, x, y, html.EscapeString(text))
}

func (s *svg) path(class string, points []point) {
	fmt.Fprintf(&s.b, `<polyline class="%s" points="`, class)
	for _, p := range points {
		fmt.Fprintf(&s.b, "%.1f,%.1f ", p.x, p.y)
	}
	s.b.WriteString(`"/>`)
}

func (s *svg) String() string { return s.b.String() + "</svg>" }

type point struct{ x, y float64 }

// scale maps values to a line of pixels, by their logarithm.
type scale struct{ low, high, from, to float64 }

// newScale covers low to high, whole powers of ten if they are far apart.
func newScale(low, high, from, to float64) scale {
	low, high = math.Log10(low), math.Log10(high)
	if high-low > 0.5 {
		low, high = math.Floor(low*2)/2, math.Ceil(high*2)/2
	} else {
		low, high = low-0.3, high+0.3
	}
	return scale{low, high, from, to}
}

func (s scale) at(v float64) float64 {
	t := (math.Log10(v) - s.low) / (s.high - s.low)
	return s.from + min(max(t, 0), 1)*(s.to-s.from)
}

// ticks are the powers of ten, and halves of them (3) where there are few.
func (s scale) ticks() (v []float64) {
	few := s.high-s.low < 2.2
	for e := math.Floor(s.low); e <= math.Ceil(s.high); e++ {
		for _, m := range []float64{1, 3} {
			if m == 3 && !few {
				continue
			}
			x := m * math.Pow(10, e)
			if l := math.Log10(x); l >= s.low-1e-9 && l <= s.high+1e-9 {
				v = append(v, x)
			}
		}
	}
	return v
}
