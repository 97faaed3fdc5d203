package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// used is a transaction of an application.
func used(hits uint64, at time.Time) spool.Transaction {
	return spool.Transaction{Events: 1, Transaction: threescale.Transaction{
		Application: threescale.Application{ID: "app1"}, Usage: threescale.Usage{{Metric: "hits", Value: hits}}, Timestamp: at.Unix(),
	}}
}

// TestRestampedAndParked: usage that was too old for 3scale, and was sent with the time of the attempt in a report whose outcome
// is unknown, may be counted in the hour of the attempt: it is booked there, in the figures and in the batch's evidence.
func TestRestampedAndParked(t *testing.T) {
	h := newHistory(t, 1)
	defer func() { require.NoError(t, h.spool.Close()) }()
	old := h.begun.Add(-26 * time.Hour)
	list := []spool.Transaction{used(7, old), used(5, h.begun)}
	events := make([]event.Event, len(list))
	for i := range list {
		events[i] = event.Event{ServiceID: "1001", Transaction: list[i].Transaction}
	}
	_, err := h.spool.Append(t.Context(), events)
	require.NoError(t, err)
	cut, err := h.spool.BeginCut(h.spool.Readable())
	require.NoError(t, err)
	require.NoError(t, cut.Add(&spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}, Transactions: list}))
	require.NoError(t, cut.Commit(0))
	for _, info := range h.spool.Batches() {
		require.NoError(t, h.spool.Attempt(info.ID, h.begun.Add(time.Minute)))
		require.NoError(t, h.spool.Ambiguous(info.ID))
	}
	h.book(true)
	ambiguous := map[time.Time]int64{}
	require.NoError(t, h.ledger.Rows(Query{Since: old.Add(-time.Hour), Until: h.begun.Add(2 * time.Hour)}, func(r *Row) error {
		ambiguous[r.Time.UTC()] += r.Ambiguous
		return nil
	}))
	assert.Zero(t, ambiguous[old.UTC()])
	delete(ambiguous, old.UTC())
	assert.Equal(t, map[time.Time]int64{h.begun.UTC(): 12}, ambiguous)
	require.NoError(t, h.ledger.Batches("", old, func(b *BatchRecord) error {
		for _, c := range b.Cells {
			assert.Equal(t, h.begun.UTC(), c.Hour.UTC())
		}
		return nil
	}))
}
