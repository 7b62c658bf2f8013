package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"os"

	"github.com/durusdb/durus/bench/measure"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number":  number,
	"short":   short,
	"verdict": verdict,
	"extras":  extras,
	"ratios":  func(r measure.Row) template.HTML { return template.HTML(ratioChart(r)) },
	"latency": func(r measure.Row) template.HTML { return template.HTML(latencyChart(r)) },
	"curve":   func(r []measure.Row) template.HTML { return template.HTML(curveChart(r)) },
}).Parse(pageText))

// classes have a colour in the page.
var classes = []string{"durus", "bbolt", "sqlite-cgo", "sqlite-go", "badger", "pebble", "buntdb", "zodb", "python-durus", "limit", "other"}

// section is what the page shows of one workload: each curve of several sizes with
// its rows, and the rows that belong to none.
type section struct {
	Name   string
	Groups []group
}

// group is a curve and its rows, or one row alone.
type group struct {
	Curve string
	Rows  []measure.Row
}

func (r *Report) sections() (all []*section) {
	for _, row := range r.Rows {
		if len(all) == 0 || all[len(all)-1].Name != row.Workload {
			all = append(all, &section{Name: row.Workload})
		}
		s := all[len(all)-1]
		at := -1
		for i := range s.Groups {
			if row.Curve != "" && s.Groups[i].Curve == row.Curve {
				at = i
			}
		}
		if at < 0 {
			s.Groups = append(s.Groups, group{Curve: row.Curve})
			at = len(s.Groups) - 1
		}
		s.Groups[at].Rows = append(s.Groups[at].Rows, row)
	}
	for _, s := range all {
		for i := range s.Groups {
			if len(s.Groups[i].Rows) == 1 {
				s.Groups[i].Curve = "" // a point is no curve
			}
		}
	}
	return all
}

// WriteHTML writes one page with everything in it: no script, nothing from
// elsewhere.
func (r *Report) WriteHTML(path string) error {
	var b bytes.Buffer
	if err := page.Execute(&b, struct {
		*Report
		Sections []*section
		Classes  []string
	}{r, r.sections(), classes}); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
