package batcher

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// usual are the caps of the backend.
var usual = caps{threescale.MaxTransactions, threescale.MaxParams, threescale.MaxBody}

// many returns n transactions with so many metrics each.
func many(n, metrics int) []spool.Transaction {
	all := make([]spool.Transaction, n)
	for i := range all {
		all[i].Application.ID = "a"
		all[i].Timestamp = noon
		all[i].Events = 1
		for m := range metrics {
			all[i].Usage = append(all[i].Usage, threescale.Increment{Metric: "m" + strings.Repeat("x", m), Value: 1})
		}
	}
	return all
}

// runs splits and returns copies of the runs.
func runs(t *testing.T, c caps, head cost, all []spool.Transaction) [][]spool.Transaction {
	t.Helper()
	var out [][]spool.Transaction
	require.NoError(t, c.split(head, all, func(run []spool.Transaction, _ cost) error {
		out = append(out, append([]spool.Transaction(nil), run...))
		return nil
	}))
	return out
}

func lengths(runs [][]spool.Transaction) (n []int) {
	for _, r := range runs {
		n = append(n, len(r))
	}
	return n
}

func TestSplitClosesABatchAtWhicheverCapComesFirst(t *testing.T) {
	head := headCost(spool.LaneKey{ServiceID: "1001"})
	require.Equal(t, 2, head.params)
	for _, test := range []struct {
		name string
		caps caps
		all  []spool.Transaction
		want []int
	}{
		{"nothing", usual, nil, nil},
		{"one", usual, many(1, 1), []int{1}},
		{"exactly a thousand", usual, many(1000, 1), []int{1000}},
		{"one more than a thousand", usual, many(1001, 1), []int{1000, 1}},
		{"four parameters each", usual, many(1001, 2), []int{1000, 1}},
		{"five parameters each", usual, many(1000, 3), []int{818, 182}},
		{"exactly the parameters", caps{1000, 2 + 6, 1 << 20}, many(4, 1), []int{2, 2}},
		{"one parameter short", caps{1000, 2 + 5, 1 << 20}, many(4, 1), []int{1, 1, 1, 1}},
		{"bytes", caps{1000, 4096, head.bytes + 3*90}, many(7, 1), []int{2, 2, 2, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.want, lengths(runs(t, test.caps, head, test.all)))
		})
	}
}

func TestBatchFitsAsItIsWritten(t *testing.T) {
	key := spool.LaneKey{ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "a token/with+bytes"}}
	for _, bytes := range []int{600, 1000, 9999, 30000} {
		c := caps{1000, 4096, bytes}
		batches := runs(t, c, headCost(key), many(500, 2))
		for n, run := range batches {
			size := len(form(key, run))
			assert.LessOrEqual(t, size, bytes, "batch %d", n)
			if n < len(batches)-1 {
				assert.Greater(t, size, bytes-150, "batch %d has room for another transaction", n)
			}
		}
	}
}

// form is the body of a batch's report.
func form(key spool.LaneKey, run []spool.Transaction) []byte {
	r := threescale.Report{ServiceID: key.ServiceID, Credentials: key.Credentials}
	for _, tx := range run {
		r.Transactions = append(r.Transactions, tx.Transaction)
	}
	return r.AppendForm(nil)
}

func TestConfiguredCredentialsMayGrowAfterTheCut(t *testing.T) {
	c := caps{1000, 4096, 32 << 10}
	key := spool.LaneKey{ServiceID: "1001"}
	for _, run := range runs(t, c, headCost(key), many(2000, 1)) {
		sent := key
		sent.Credentials.ProviderKey = strings.Repeat("k", 4000)
		assert.LessOrEqual(t, len(form(sent, run)), c.bytes)
	}
}

func TestTransactionAboveACapIsDivided(t *testing.T) {
	all := many(3, 1)
	large := many(1, 100)[0]
	large.Code, large.Events = 200, 7
	all[1] = large
	c := caps{1000, 2 + 20, 1 << 20}
	var events, codes uint32
	usage := map[string]uint64{}
	for _, run := range runs(t, c, cost{2, 100}, all) {
		params := 2
		for _, tx := range run {
			p, _ := tx.FormCost(0)
			params += p
			events += tx.Events
			if tx.Code != 0 {
				codes++
			}
			for _, u := range tx.Usage {
				usage[u.Metric] += u.Value
			}
		}
		assert.LessOrEqual(t, params, c.params)
	}
	assert.EqualValues(t, 9, events)
	assert.EqualValues(t, 1, codes, "a response code is counted once")
	assert.Len(t, usage, 100)
	assert.EqualValues(t, 3, usage["m"])
}

func TestWhatCannotBeDividedGoesAlone(t *testing.T) {
	all := many(3, 1)
	all[1].Usage[0].Metric = strings.Repeat("x", 5000)
	assert.Equal(t, []int{1, 1, 1}, lengths(runs(t, caps{1000, 4096, 1000}, cost{2, 100}, all)))
}

func TestSplitEndsAtTheFirstError(t *testing.T) {
	full := errors.New("no space left on device")
	calls := 0
	err := usual.split(cost{}, many(3000, 1), func([]spool.Transaction, cost) error { calls++; return full })
	assert.ErrorIs(t, err, full)
	assert.Equal(t, 1, calls)
}
