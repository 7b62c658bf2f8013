package main

import (
	"errors"
	"time"
)

const timeLayout = "2006-01-02T15:04:05.000000Z"

// timeText is the one spelling of times, in JSON and in text: UTC, to the
// microsecond, as the file has them.
func timeText(t time.Time) string { return t.UTC().Format(timeLayout) }

// moment is a time in a table. For people seconds will do.
func (a *app) moment(t time.Time) string {
	if a.width == 0 {
		return timeText(t)
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// momentWidth is that of a column of them.
func (a *app) momentWidth() int { return len(a.moment(time.Time{})) }

// timeLayouts are what people may write; those without a zone are times of here.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly}

var errNoTime = errors.New("no time")

// parseTime reads a time as people write it.
func parseTime(s string, here *time.Location) (time.Time, error) {
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, s, here); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errNoTime
}
