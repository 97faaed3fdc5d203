package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/threescale/portal"
)

// TestUsageRowsHoldEveryHour: with every change of a zone's clocks, also at midnight, each hour falls into exactly one of
// the rows, which have different names and the name of the hour's own day or month.
func TestUsageRowsHoldEveryHour(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Madrid", "America/New_York", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "America/Havana"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for _, by := range []string{"hour", "day", "month"} {
			q := usageQuery{by: by, zone: zone, until: time.Date(2026, 12, 31, 7, 0, 0, 0, time.UTC)}
			q.since = q.floor(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
			rows, names := map[int64]bool{}, map[string]bool{}
			var before time.Time
			for _, row := range q.rows() {
				require.True(t, row.After(before), "%s by %s: %v after %v", name, by, row, before)
				before = row
				rows[row.Unix()] = true
				if by != "hour" { // one of them comes twice in autumn
					require.False(t, names[q.label(row)], "%s by %s: %s twice", name, by, q.label(row))
				}
				names[q.label(row)] = true
			}
			for at := q.since; at.Before(q.until); at = at.Add(time.Hour) {
				require.True(t, rows[q.floor(at).Unix()], "%s by %s: %v", name, by, at)
				require.Equal(t, q.label(at), q.label(q.floor(at)), "%s by %s", name, by)
			}
		}
	}
}

// TestUsageOfAnApplicationNamedAsItsService: it is not taken for that of the service.
func TestUsageOfAnApplicationNamedAsItsService(t *testing.T) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	q := usageQuery{by: "day", zone: time.UTC, metric: "hits"}
	one := portal.Service{ID: 7, Name: "acme"}
	for _, c := range []struct {
		column    usageColumn
		csv, json string
	}{
		{usageColumn{name: "acme", app: "acme"}, ",7,acme,hits,", `"app_id":"acme"`},
		{usageColumn{name: "acme"}, ",7,,hits,", `"service_id":"7","metric"`},
	} {
		var out bytes.Buffer
		s := terminal.NewScreen(terminal.Options{Out: &out, Err: &out})
		require.NoError(t, usageCSV(s, q, one, []time.Time{at}, []usageColumn{c.column}))
		require.NoError(t, usageJSON(s, q, one, []time.Time{at}, []usageColumn{c.column}))
		assert.Contains(t, out.String(), c.csv)
		assert.Contains(t, out.String(), c.json)
	}
}
