// Package report says what a run has found: as JSON, as a table, and as one HTML
// page with charts.
package report

import (
	"encoding/json"
	"os"
	"time"

	"github.com/durusdb/durus/bench/measure"
)

// Report is all of a run.
type Report struct {
	Machine  Machine       `json:"machine"`
	Date     time.Time     `json:"date"`
	Quick    bool          `json:"quick"`
	Rounds   int           `json:"rounds"`
	Took     string        `json:"took"`
	Notes    []string      `json:"notes"`
	Rows     []measure.Row `json:"rows"`
	Standing []Standing    `json:"standing"`
}

// Read reads what WriteJSON wrote.
func Read(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	return r, json.Unmarshal(data, r)
}

// WriteJSON writes the raw figures.
func (r *Report) WriteJSON(path string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// find returns the row of that name, or nil.
func (r *Report) find(workload, name string) *measure.Row {
	for i := range r.Rows {
		if r.Rows[i].Workload == workload && r.Rows[i].Name == name {
			return &r.Rows[i]
		}
	}
	return nil
}
