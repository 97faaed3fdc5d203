package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// What is booked between two pages moves no row from one to the other.
func TestPagesWhileItIsBooked(t *testing.T) {
	at := time.Now().UTC().Truncate(time.Hour)
	l := kept(t, at)
	var seen []string
	for cursor, n := "", 0; n < 20; n++ {
		var p page
		require.NoError(t, json.Unmarshal(asked(l, "limit=1&cursor="+cursor).Body.Bytes(), &p))
		for _, row := range p.Rows {
			seen = append(seen, row.AppID+"/"+row.Metric)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
		if n == 1 { // a metric that app1 did not have, in the row that the page ended in
			b := &spool.Batch{ID: spool.BatchID{Position: 10}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: at, Transactions: []spool.Transaction{{
				Events: 1, Transaction: threescale.Transaction{
					Application: threescale.Application{ID: "app1"}, Timestamp: at.Add(-2 * time.Hour).Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "new", Value: 1}},
				},
			}}}
			r := run{Ledger: l, next: 3, gathered: []spool.BatchEvent{{Kind: spool.BatchSealed, Batch: b}}}
			require.NoError(t, r.commit(t.Context()))
		}
	}
	counted := map[string]int{}
	for _, name := range seen {
		counted[name]++
	}
	for _, name := range []string{"app1/hits", "app1/search", "app1/deep", "app2/hits", "app2/orphan", "app2/silent"} {
		assert.GreaterOrEqual(t, counted[name], 1, name)
	}
	assert.Equal(t, 1, counted["app2/hits"], "%v", seen)
	assert.Equal(t, 1, counted["app2/orphan"], "%v", seen)
	assert.LessOrEqual(t, counted["app1/hits"], 2, "%v", seen)
}
