package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// whole is a ledger of everything, and parts the same usage in three ledgers: of each service in one, except a service that is in two.
type whole struct {
	all   *Ledger
	parts []*Ledger
	down  int // the partition that does not answer; -1: none
}

func newWhole(t *testing.T) *whole {
	w := &whole{down: -1}
	parents := func(string) map[string]string { return map[string]string{"search": "hits"} }
	for range 4 {
		l, err := Open(Options{Dir: t.TempDir(), Keep: 1e6 * time.Hour, Parents: parents})
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		w.parts = append(w.parts, l)
	}
	w.all, w.parts = w.parts[3], w.parts[:3]
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	batch := func(n int) *spool.Batch {
		at := start.Add(time.Duration(n) * 5 * time.Hour)
		b := &spool.Batch{ID: spool.BatchID{Position: spool.Position(n + 1)}, Lane: spool.LaneKey{ServiceID: fmt.Sprintf("s%d", n%5)}, Sealed: at}
		for app := range 3 {
			b.Transactions = append(b.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: fmt.Sprintf("a%d", (n+app)%4)}, Timestamp: at.Unix(),
				Usage: []threescale.Increment{{Metric: "hits", Value: uint64(n + 1)}, {Metric: "search", Value: uint64(app)}},
			}})
		}
		return b
	}
	for n := range 30 {
		for _, l := range []*Ledger{w.all, w.parts[n%5%3]} {
			b := batch(n)
			r := run{Ledger: l, next: uint64(n + 2), gathered: []spool.BatchEvent{{Kind: spool.BatchSealed, Batch: b}, {Kind: spool.BatchEnded, Batch: b}}}
			require.NoError(t, r.commit(t.Context()))
			l.measure()
		}
	}
	return w
}

func (w *whole) joint() *Joint {
	return NewJoint(JointOptions{Partitions: len(w.parts), Ask: func(_ context.Context, p int, q []byte) ([]byte, error) {
		if p == w.down {
			return nil, errors.New("the partition has no owner now")
		}
		return w.parts[p].Answer(q)
	}})
}

func rowsOf(t *testing.T, b Book, q Query) (rows []string) {
	require.NoError(t, b.Rows(q, func(r *Row) error {
		rows = append(rows, fmt.Sprint(r.Time.Format(time.RFC3339), r.ServiceID, r.AppID, r.Metric, r.Figures))
		return nil
	}))
	slices.Sort(rows)
	return rows
}

// TestJointIsOneLedger: the ledgers of partitions answer together what one ledger of everything does.
func TestJointIsOneLedger(t *testing.T) {
	t.Parallel()
	w := newWhole(t)
	j := w.joint()
	for _, q := range []Query{
		{}, {By: ByDay}, {By: ByMonth}, {AllServices: true}, {AllApplications: true}, {AllMetrics: true, Raw: true}, {ServiceID: "s1"},
		{ServiceID: "s4", AppID: "a1", By: ByDay}, {Metric: "search"}, {AllServices: true, AllApplications: true, AllMetrics: true, By: ByMonth, Raw: true},
		{Since: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)},
	} {
		assert.Equal(t, rowsOf(t, w.all, q), rowsOf(t, j, q), "%+v", q)
	}
	for _, b := range []Book{w.all, j} {
		services, err := b.Services(time.Time{})
		require.NoError(t, err)
		assert.Equal(t, []string{"s0", "s1", "s2", "s3", "s4"}, services)
		applications, err := b.Applications("s3", time.Time{})
		require.NoError(t, err)
		assert.Equal(t, []string{"a0", "a1", "a2", "a3"}, applications)
		parents, err := b.Parents("s3")
		require.NoError(t, err)
		assert.Equal(t, map[string]string{"search": "hits"}, parents)
		reach, err := b.Reach()
		require.NoError(t, err)
		assert.Equal(t, Reach{Earliest: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)}, reach)
		batches := 0
		require.NoError(t, b.Batches("s2", time.Time{}, func(*BatchRecord) error { batches++; return nil }))
		assert.Equal(t, 6, batches)
	}
}

// TestJointPages: pages of any size give every row once, in the order of days, in JSON as in CSV.
func TestJointPages(t *testing.T) {
	t.Parallel()
	w := newWhole(t)
	j := w.joint()
	wanted := rowsOf(t, w.all, Query{})
	for _, limit := range []int{1, 7, 50, 1000} {
		var got []string
		last := time.Time{}
		for cursor := ""; ; {
			var p page
			code, body := answered(j, fmt.Sprintf("since=2026-11-01&until=2026-12-30&limit=%d&cursor=%s", limit, cursor))
			require.Equal(t, http.StatusOK, code, body)
			require.NoError(t, json.Unmarshal([]byte(body), &p))
			for _, r := range p.Rows {
				day := r.Time.Truncate(24 * time.Hour)
				require.False(t, day.Before(last), "days in order")
				last = day
				got = append(got, fmt.Sprint(r.Time.Format(time.RFC3339), r.ServiceID, r.AppID, r.Metric, r.Accepted))
			}
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		assert.Len(t, got, len(wanted))
		slices.Sort(got)
		assert.Len(t, slices.Compact(got), len(wanted), "no row twice")
	}
	_, text := answered(j, "since=2026-11-01&until=2026-12-30&format=csv")
	assert.Equal(t, len(wanted)+1, strings.Count(text, "\n"))
}

func answered(b Book, query string) (code int, body string) {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/ledger?"+query, nil))
	return w.Code, w.Body.String()
}

// TestJointWithoutAPartition: while one does not answer there is no figure, and the answer says which one and that it passes.
func TestJointWithoutAPartition(t *testing.T) {
	t.Parallel()
	w := newWhole(t)
	w.down = 1
	j := w.joint()
	for _, query := range []string{"", "group=metric", "by=month", "format=csv", "service_id=s0"} {
		code, body := answered(j, query)
		assert.Equal(t, http.StatusServiceUnavailable, code, query)
		assert.Contains(t, body, "partition 1: the partition has no owner now")
	}
	_, err := j.Services(time.Time{})
	require.ErrorIs(t, err, ErrApart)
	require.ErrorIs(t, j.Batches("", time.Time{}, func(*BatchRecord) error { return nil }), ErrApart)
}

// TestJointCursorOfAnotherOwner: where a partition is in a ledger is known to that ledger only. A cursor of the one before is refused, and
// a read that meets another one ends with an error, and not with a row twice or none.
func TestJointCursorOfAnotherOwner(t *testing.T) {
	t.Parallel()
	w := newWhole(t)
	j := w.joint()
	code, body := answered(j, "since=2026-11-01&until=2026-12-30&limit=2")
	require.Equal(t, http.StatusOK, code)
	var p page
	require.NoError(t, json.Unmarshal([]byte(body), &p))
	w.parts[0].instance.Add(1)
	code, body = answered(j, "since=2026-11-01&until=2026-12-30&limit=2&cursor="+p.Next)
	assert.Equal(t, http.StatusBadRequest, code)
	assert.Contains(t, body, "begin again without it")
	n := 0
	err := j.Rows(Query{most: 2}, func(*Row) error {
		if n++; n == 3 {
			w.parts[0].moves.Add(1)
		}
		return nil
	})
	require.ErrorIs(t, err, ErrApart)
	require.ErrorIs(t, err, errMoved)
}
