package analytics

import (
	"time"
	_ "time/tzdata" // minimal containers have no zone database
)

// zone finds a time zone by the name that the API documents, or its IANA name.
func zone(name string) (*time.Location, string, bool) {
	if iana, ok := zones[name]; ok {
		name = iana
	}
	if name == "Etc/UTC" {
		return time.UTC, name, true
	}
	if name == "" || name == "Local" {
		return nil, "", false
	}
	loc, err := time.LoadLocation(name)
	return loc, name, err == nil
}

// wholeHours reports whether a zone is off UTC by whole hours at a moment.
func wholeHours(t time.Time) bool {
	_, offset := t.Zone()
	return offset%3600 == 0
}
