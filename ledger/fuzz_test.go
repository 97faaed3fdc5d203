package ledger

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzCells: every file is read to its end or refused; what is read is written in the same form again.
func FuzzCells(f *testing.F) {
	f.Add(appendCells(nil, []cell{{metric: 1, hour: 3, Figures: Figures{Accepted: 5, Delivered: 5}}, {metric: 2, hour: 23, Figures: Figures{Accepted: 9, Dead: 2, Ambiguous: -1}}}))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []cell
		if eachCell(data, func(c *cell) { all = append(all, *c) }) != nil {
			return
		}
		merged := merge(nil, nil, slices.Clone(all))
		var again []cell
		require.NoError(t, eachCell(appendCells(nil, merged), func(c *cell) { again = append(again, *c) }))
		require.ElementsMatch(t, merged, again)
	})
}

// FuzzBatchRow: the same for what a batch added.
func FuzzBatchRow(f *testing.F) {
	row := batchRow{service: 1, sealed: 1_700_000_000, ambiguous: 1, uses: []use{{hour: 1, app: 2, shares: []share{{3, 4, 5}}}}}
	f.Add(row.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again batchRow
		if r.decode(data) {
			require.True(t, again.decode(r.encode()))
		}
	})
}

// FuzzQuestion: no query is more than a question or an error that names a parameter.
func FuzzQuestion(f *testing.F) {
	f.Add("service_id=1001&since=72h&by=day&group=metric&limit=5&cursor=NQ")
	f.Add("since=2026-01-01T00:00:00Z&until=2026-02-01&expand=false&format=csv")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/api/v1/ledger", nil)
		r.URL = &url.URL{Path: "/api/v1/ledger", RawQuery: query}
		q, err := parse(r, time.Unix(1_700_000_000, 0))
		if err == nil {
			require.LessOrEqual(t, q.limit, mostLimit)
			require.GreaterOrEqual(t, q.skip, 0)
		}
	})
}
