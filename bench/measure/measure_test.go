package measure

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestBucketsCoverEveryDuration(t *testing.T) {
	for b := range 400 {
		u := upper(b)
		if got := bucket(u); got != b {
			t.Fatalf("bucket(%d) = %d, want %d", u, got, b)
		}
		if got := bucket(u + 1); got != b+1 {
			t.Fatalf("bucket(%d) = %d, want %d", u+1, got, b+1)
		}
	}
}

func TestQuantileIsAtMostAnEighthTooHigh(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h, half Histogram
	var all []time.Duration
	for i := range 10000 {
		d := time.Duration(r.ExpFloat64() * 1e5)
		all = append(all, d)
		if i%2 == 0 {
			h.Add(d)
		} else {
			half.Add(d)
		}
	}
	h.Merge(&half)
	slices.Sort(all)
	for _, q := range Quantiles {
		want := all[int(q*float64(len(all)))-1]
		if got := h.Quantile(q); got < want || float64(got) > 1.13*float64(want)+1 {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	if h.Latency().N != 10000 || h.Latency().Max != int64(all[len(all)-1]) {
		t.Errorf("%+v", h.Latency())
	}
}

func TestRunComparesRoundsWithEachOther(t *testing.T) {
	var order []string
	give := func(name, kind string, v ...float64) Case {
		return Case{Name: name, Kind: kind, Run: func() (Sample, error) {
			order = append(order, name)
			x := v[0]
			v = v[1:]
			return Sample{Value: x}, nil
		}}
	}
	row := Row{Name: "test"}
	if err := row.Run(3, give("durus", Durus, 10, 100, 30), give("other", Peer, 5, 10, 15), Case{Name: "gone", Kind: Peer, Skip: "why"}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"durus", "other", "durus", "other", "durus", "other"}; !slices.Equal(order, want) {
		t.Errorf("order %v", order)
	}
	c := row.Cell("other")
	if c.Median != 10 || c.Ratio != 2 || c.Low != 2 || c.High != 10 {
		t.Errorf("%+v", c)
	}
	if row.Cell("gone").Skipped != "why" {
		t.Error("a case that was skipped is not told")
	}
	bad := errors.New("wrong answer")
	if err := new(Row).Run(1, Case{Name: "x", Run: func() (Sample, error) { return Sample{}, bad }}); !errors.Is(err, bad) {
		t.Error(err)
	}
}
