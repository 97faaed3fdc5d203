package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// appended seals one batch of an event for each application, beside the model of the history.
func (h *history) appended(apps ...string) *spool.Batch {
	h.t.Helper()
	b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "s0"}}
	var events []event.Event
	for _, app := range apps {
		e := event.Event{ServiceID: "s0", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: app}, Timestamp: h.begun.Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 1}},
		}}
		events = append(events, e)
		b.Transactions = append(b.Transactions, spool.Transaction{Transaction: e.Transaction, Events: 1})
	}
	_, err := h.spool.Append(h.t.Context(), events)
	require.NoError(h.t, err)
	cut, err := h.spool.BeginCut(h.spool.Committed() + spool.Position(len(apps)))
	require.NoError(h.t, err)
	require.NoError(h.t, cut.Add(b))
	require.NoError(h.t, cut.Commit(0))
	return b
}

// bookOnce gathers and books, and fails where the ledger is stopped by it.
func (h *history) bookOnce() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 50*time.Millisecond)
	defer cancel()
	h.run.gather(ctx)
	short, cancel := context.WithTimeout(h.t.Context(), time.Second)
	defer cancel()
	h.run.book(short)
	require.Empty(h.t, h.ledger.Stats().Trouble)
}

// TestLongNames: a name that the database cannot take as a key leaves that transaction out, says so with the batch, and
// stops nothing, also in a directory where an older version had stopped.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for name, limit := range map[string]int{"known to be too long": 0, "refused by the database": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t, 3)
			core, logs := observer.New(zap.ErrorLevel)
			h.ledger.options.Log, h.run.maxName = zap.New(core), limit
			mixed := h.appended("fine", long)
			after := h.appended("after")
			h.bookOnce()
			require.NoError(t, h.spool.Ambiguous(mixed.ID))
			require.NoError(t, h.spool.Resolve(mixed.ID, spool.Resolution{At: h.begun, Delivered: []int{0, 1}}))
			require.NoError(t, h.spool.Resolve(after.ID, spool.Resolution{At: h.begun, Delivered: []int{0}}))
			h.bookOnce()
			got := map[string]Figures{}
			require.NoError(t, h.ledger.Rows(Query{}, func(r *Row) error { got[r.AppID] = r.Figures; return nil }))
			want := map[string]Figures{"after": {Accepted: 1, Delivered: 1}}
			if limit == 0 {
				want["fine"] = Figures{Accepted: 1, Delivered: 1, Ambiguous: 1}
				assert.EqualValues(t, 1, h.ledger.Stats().SetAside)
			}
			assert.Equal(t, want, got)
			assert.True(t, h.ledger.Stats().Missed)
			said := logs.FilterMessageSnippet("cannot be booked").All()
			require.NotEmpty(t, said)
			assert.Contains(t, said[0].ContextMap()["batches"], mixed.ID.String())
			h.crash()
			assert.True(t, h.ledger.Stats().Missed)
			assert.Equal(t, h.spool.ChangesEnd(), h.ledger.Next())
			require.NoError(t, h.ledger.Close())
			require.NoError(t, h.spool.Close())
		})
	}
}
