package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/durusdb/durus/bench/measure"
)

func rows(ratio float64) []measure.Row {
	latency := new(measure.Histogram)
	for i := range 1000 {
		latency.Add(time.Duration(i+1) * time.Microsecond)
	}
	cells := []measure.Cell{
		{Name: "durus", Kind: measure.Durus, Median: 100, Latency: latency.Latency()},
		{Name: "bbolt", Kind: measure.Peer, Median: 50, Ratio: 2, Low: 1.5, High: 3, Latency: latency.Latency()},
		{Name: "lmdb", Kind: measure.Peer, Skipped: "not <here>"},
		{Name: "append+fdatasync", Kind: measure.Limit, Median: 200, Ratio: ratio, Low: ratio, High: ratio},
	}
	return []measure.Row{
		{Workload: "micro", Name: "durable commit of one object", Unit: "objects/s", Cells: cells},
		{Workload: "growth", Name: "a & b, 10", Curve: "a & b", X: 10, XName: "objects", Unit: "us", Cells: cells},
		{Workload: "growth", Name: "a & b, 100", Curve: "a & b", X: 100, XName: "objects", Unit: "us", Cells: cells},
	}
}

func TestCollapsedLooksAtSharesOfLimits(t *testing.T) {
	r := &Report{Rows: rows(0.8)}
	if bad, n := r.Collapsed(rows(0.41)); len(bad) != 0 || n != 3 {
		t.Errorf("a little more than half: %v, %d compared", bad, n)
	}
	bad, _ := r.Collapsed(rows(0.39))
	if len(bad) != 3 || bad[0].Limit != "append+fdatasync" || bad[0].Was != 0.8 || bad[0].Now != 0.39 {
		t.Errorf("less than half: %+v", bad)
	}
}

func TestCollapsedPrefersMedianTimes(t *testing.T) {
	timed := func(limit time.Duration) []measure.Row {
		r := rows(0.1)
		h := new(measure.Histogram)
		h.Add(limit)
		r[0].Cells[3].Latency = h.Latency()
		return r[:1]
	}
	r := &Report{Rows: timed(400 * time.Microsecond)}
	if bad, n := r.Collapsed(timed(300 * time.Microsecond)); len(bad) != 0 || n != 1 {
		t.Errorf("%+v, %d compared", bad, n)
	}
	if bad, _ := r.Collapsed(timed(100 * time.Microsecond)); len(bad) != 1 {
		t.Errorf("%+v", bad)
	}
}

func TestJSONComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.json")
	if err := (&Report{Rows: rows(0.5)}).WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	r, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if bad, n := r.Collapsed(rows(0.5)); len(bad) != 0 || n != 3 {
		t.Errorf("%v, %d compared", bad, n)
	}
}

func TestPageIsWholeAndAlone(t *testing.T) {
	r := &Report{Rows: rows(0.5), Notes: []string{"a <b>"}}
	r.Judge()
	if len(r.Standing) != 1 || r.Standing[0].Met {
		t.Fatalf("%+v", r.Standing)
	}
	path := filepath.Join(t.TempDir(), "r.html")
	if err := r.WriteHTML(path); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pictures := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAll(page, -1)
	if len(pictures) != 3 { // ratios and latencies of the first row, one curve
		t.Errorf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		d := xml.NewDecoder(bytes.NewReader(p))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, bad := range []string{"http:", "https:", "<script", "<link", "src=", "NaN", "Inf", "ZgotmplZ", "not <here>", "a <b>"} {
		if strings.Contains(string(page), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}
