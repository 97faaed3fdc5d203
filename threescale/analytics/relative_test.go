package analytics

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestRelative: dates that depend on the current time, which the original refuses, and those that it reads in its own way.
func TestRelative(t *testing.T) {
	const usage = "/stats/services/1/usage.json?metric_name=hits&granularity=day&"
	today := api().Now().UTC().Format("2006-01-02")
	week := api().Now().UTC().AddDate(0, 0, -7).Format("2006-01-02")
	for relative, absolute := range map[string]string{
		"since=7d&until=now":                                  "since=" + week + "&until=" + today,
		"since=now-7d/d&until=today":                          "since=" + week + "&until=" + today,
		"since={date.add(-7).format()}&until={date.format()}": "since=" + week + "&until=" + today,
	} {
		got, want := get(t, api(), usage+relative), get(t, api(), usage+absolute)
		assert.Equal(t, http.StatusOK, got.Code, "%s: %s", relative, got.Body)
		assert.Equal(t, want.Body.String(), got.Body.String(), relative)
	}
	for _, since := range []string{"monday", "201501-01", "{date.addd(1)}", "1769940000000"} {
		assert.Equal(t, http.StatusBadRequest, get(t, api(), usage+"until=today&since="+since).Code, since)
	}
}
