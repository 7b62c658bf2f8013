package picture

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the pictures that are drawn now as golden files")

type format struct {
	name  string
	write func(*Graph, io.Writer) error
}

var formats = []format{{"dot", (*Graph).DOT}, {"svg", (*Graph).SVG}, {"html", (*Graph).HTML}}

func drawn(t testing.TB, f format, g *Graph) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.write(g, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// family is a small graph with a cycle, a weak reference, one to itself, and one to
// what is not drawn.
func family() *Graph {
	return &Graph{Title: "family", Notes: []string{"One object is left out."}, Objects: []Object{
		{ID: "1", Class: "durus.Roots", About: "root directory", Rows: []Row{{Name: "ada", Text: "Person@2", To: "2"}}},
		{ID: "2", Class: "Person", Rows: []Row{
			{Name: "Name", Text: `"Ada"`}, {Name: "Child", Text: "Person@3", To: "3"}, {Name: "Self", Text: "Person@2", To: "2"}, {Name: "Friend", Text: "Person@9", To: "9"},
		}},
		{ID: "3", Class: "Person", More: 2, Rows: []Row{{Name: "Parent", Text: "Person@2 (weak)", To: "2", Weak: true}, {Name: "Home", Text: "House@4", To: "4"}}},
		{ID: "4", Class: "House", Rows: []Row{{Name: "Owner", Text: "Roots@1", To: "1"}}, History: []Revision{{"17", "2026-01-02T03:04:05Z", "ada", "moved"}}},
	}}
}

// What is text is held by golden files; go test -update writes them.
func TestGolden(t *testing.T) {
	for _, f := range formats {
		got := drawn(t, f, family())
		if again := drawn(t, f, family()); again != got {
			t.Errorf("%s: the same graph gives another picture", f.name)
		}
		if f.name == "html" {
			continue // all but the data is a file of its own already
		}
		name := filepath.Join("testdata", "family."+f.name)
		if *update {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s: look at it, then go test -update", f.name, name)
		}
	}
}

// Text from outside never becomes a part of the format.
func TestHostileText(t *testing.T) {
	for _, evil := range []string{
		"</script><script>alert(1)</script>", "<!--<script>", "]]>", `"><img src=x onerror=alert(1)>`, "a\"b\\", "\x00\x1b[31m\x7f", "\u202egnp.exe", "\ufffe\xff\xc3", "\u2028\u2029", "-->", "}\n; x -> y", "&lt;", "{{.}}", "${x}", "日本語" + strings.Repeat("長", 99),
	} {
		g := &Graph{Title: evil, Notes: []string{evil}, Objects: []Object{{ID: "1", Class: evil, About: evil, Rows: []Row{{Name: evil, Text: evil, To: "1"}}, History: []Revision{{evil, evil, evil, evil}}}}}
		for _, f := range formats {
			out := drawn(t, f, g)
			for _, bad := range []string{"<script>alert", "<img", "\x00", "\x1b", "\x7f", "\u202e", "\u2028", "\ufffe", "\xff"} {
				if strings.Contains(out, bad) {
					t.Errorf("%s: %q leaves %q in the picture", f.name, evil, bad)
				}
			}
			switch f.name {
			case "svg":
				if err := wellFormed(out); err != nil {
					t.Errorf("svg of %q: %v", evil, err)
				}
			case "html":
				if n := strings.Count(strings.ToLower(out), "</script"); n != 2 {
					t.Errorf("html of %q ends %d scripts, not its two", evil, n)
				}
			case "dot":
				if n := strings.Count(out, "->"); n != 1 {
					t.Errorf("dot of %q has %d edges, not one:\n%s", evil, n, out)
				}
			}
		}
	}
}

func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// A page loads nothing, and its policy names its script and style.
func TestPageStandsAlone(t *testing.T) {
	out := drawn(t, formats[2], family())
	for _, pattern := range []string{`https?://`, `src=`, `href=`, `@import`, `url\(`, `innerHTML`, `eval\(`, `fetch\(`} {
		if m := regexp.MustCompile(pattern).FindString(out); m != "" {
			t.Errorf("the page has %s", m)
		}
	}
	for _, part := range []string{pageScript, pageStyle} {
		if !strings.Contains(out, "'"+hash(part)+"'") || !strings.Contains(out, ">"+part+"</") {
			t.Error("the policy does not fit what is in the page")
		}
	}
}

// The data of a page is the graph and its colors.
func TestPageData(t *testing.T) {
	out := drawn(t, formats[2], family())
	_, data, _ := strings.Cut(out, `id="data">`)
	data, _, _ = strings.Cut(data, "</script>")
	var got struct {
		Graph
		Colors map[string]string `json:"colors"`
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		t.Fatal(err)
	}
	want := family().cleaned()
	if !reflect.DeepEqual(got.Notes, want.Notes) || len(got.Objects) != len(want.Objects) || got.Objects[3].History[0] != want.Objects[3].History[0] || got.Objects[2].Rows[0] != want.Objects[2].Rows[0] {
		t.Errorf("the page has %+v, want %+v", got.Graph, want)
	}
	for _, o := range got.Objects {
		if got.Colors[o.Class] == "" {
			t.Errorf("class %s has no color", o.Class)
		}
	}
}

// No two cards overlap, none leaves the picture, every reference within the graph
// is a wire: for graphs of any shape.
func TestLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "objects")
		g := &Graph{}
		refs := 0
		for i := range n {
			o := Object{ID: fmt.Sprint(i), Class: fmt.Sprintf("c%d", i%5)}
			for range rapid.IntRange(0, maxLines).Draw(t, "references") {
				o.Rows = append(o.Rows, Row{Name: "r", Text: "x", To: fmt.Sprint(rapid.IntRange(0, n-1).Draw(t, "to"))})
				refs++
			}
			for range rapid.IntRange(0, 20).Draw(t, "values") {
				o.Rows = append(o.Rows, Row{Name: "v", Text: "y"})
			}
			g.Objects = append(g.Objects, o)
		}
		d := arrange(g)
		if len(d.cards) != n || len(d.wires) != refs {
			t.Fatalf("%d cards and %d wires for %d objects and %d references", len(d.cards), len(d.wires), n, refs)
		}
		for i, a := range d.cards {
			if a.x < 0 || a.y < -0.01 || a.x+a.w > d.width+0.01 || a.y+a.h > d.height+0.01 || math.IsNaN(a.y) {
				t.Fatalf("card %d at %v %v leaves the picture of %v x %v", i, a.x, a.y, d.width, d.height)
			}
			for _, b := range d.cards[:i] {
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
					t.Fatalf("card %d lies on another", i)
				}
			}
			for _, l := range a.lines {
				if w := float64(columns(l.label()))*glyph + margin; w > a.w {
					t.Fatalf("%q leaves its card", l.label())
				}
			}
		}
	})
}

// An object that leads to many others, and they back to it, gives a picture about as
// wide as it is high, and a small one is left alone.
func TestFold(t *testing.T) {
	star := func(n int) *drawing {
		g := &Graph{Objects: []Object{{ID: "0", Class: "star"}}}
		for i := range n {
			id := fmt.Sprint(i + 1)
			g.Objects[0].Rows = append(g.Objects[0].Rows, Row{Name: id, To: id})
			g.Objects = append(g.Objects, Object{ID: id, Class: "planet", Rows: []Row{{Name: "Star", To: "0"}, {Name: "Name", Text: "planet " + id}}})
		}
		return arrange(g)
	}
	if d := star(8); len(d.columns) != 2 {
		t.Errorf("a small picture has %d columns", len(d.columns))
	}
	for _, n := range []int{40, 60, 200, 1000} {
		d := star(n)
		if ratio := d.height / d.width; ratio < 0.5 || ratio > 2 {
			t.Errorf("%d objects take %.0f x %.0f", n, d.width, d.height)
		}
		for _, w := range d.wires {
			if from, to := w.from.x, w.to.x; len(w.bends) == 0 && math.Abs(from-to) > 600 {
				t.Errorf("a reference over several columns does not bend around their cards")
			}
		}
	}
}

// A chain is broken into bands, and no band leaves the picture.
func TestBands(t *testing.T) {
	for _, n := range []int{1, 5, 60, 300} {
		g := &Graph{}
		for i := range n {
			g.Objects = append(g.Objects, Object{ID: fmt.Sprint(i), Class: "link", Rows: []Row{{Name: "Next", To: fmt.Sprint(i + 1)}, {Name: "Back", To: fmt.Sprint(i - 1)}}})
		}
		d := arrange(g)
		if ratio := d.width / d.height; n >= 60 && (ratio < 1 || ratio > 3) || n <= 5 && len(d.above) != 1 {
			t.Errorf("%d objects take %.0f x %.0f in %d bands", n, d.width, d.height, len(d.above))
		}
		for i, c := range d.cards {
			if c.column != i || c.x < 0 || c.x+c.w > d.width || c.y < -0.01 || c.y+c.h > d.height+0.01 {
				t.Errorf("card %d of %d is in column %d, at %.0f %.0f of %.0f x %.0f", i, n, c.column, c.x, c.y, d.width, d.height)
			}
		}
	}
}

// A large graph is drawn in a moment, also one that is a chain or a star.
func TestLargeLayouts(t *testing.T) {
	const n = 2000
	chain, star := &Graph{}, &Graph{}
	for i := range n {
		chain.Objects = append(chain.Objects, Object{ID: fmt.Sprint(i), Class: "c", Rows: []Row{{To: fmt.Sprint(i + 1)}, {To: "0"}}})
		star.Objects = append(star.Objects, Object{ID: fmt.Sprint(i), Class: "c", Rows: []Row{{To: "0"}}})
	}
	for i := range n {
		star.Objects[0].Rows = append(star.Objects[0].Rows, Row{To: fmt.Sprint(i)})
	}
	for name, g := range map[string]*Graph{"chain": chain, "star": star} {
		if d := arrange(g); len(d.cards) != n {
			t.Errorf("%s: %d cards", name, len(d.cards))
		}
		for _, f := range formats {
			if out := drawn(t, f, g); len(out) > 4<<20 {
				t.Errorf("%s as %s has %d bytes", name, f.name, len(out))
			}
		}
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"", 4, ""}, {"abcd", 4, "abcd"}, {"abcde", 4, "abc…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"a\tb", 9, "a\ufffdb"},
	} {
		if got := short(c.in, c.most); got != c.want {
			t.Errorf("short(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

// A graph of nothing is a picture all the same.
func TestEmptyGraph(t *testing.T) {
	for _, f := range formats {
		if out := drawn(t, f, &Graph{Title: "nothing"}); !strings.Contains(out, "nothing") {
			t.Errorf("%s: %q", f.name, out)
		}
	}
}
