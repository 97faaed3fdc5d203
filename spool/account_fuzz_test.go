package spool

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// FuzzAccount: an account record is read as it was written, or refused.
func FuzzAccount(f *testing.F) {
	b := &Batch{ID: BatchID{Position: 7}, Transactions: []Transaction{{Events: 2, Transaction: threescale.Transaction{
		Application: threescale.Application{UserKey: "k"}, Timestamp: 1_700_000_000, Usage: []threescale.Increment{{Metric: "hits", Value: 3}},
	}}}}
	data, _ := appendChange(nil, b, Resolution{Dead: []DeadLetter{{Index: 0}}})
	body, _ := cutRecord(data)
	f.Add(body[1:])
	f.Fuzz(func(t *testing.T, data []byte) {
		id, all, err := parseChange(data)
		if err != nil {
			return
		}
		written, _ := cutRecord(putChange(nil, id, all))
		again, same, err := parseChange(written[1:])
		require.NoError(t, err)
		require.Equal(t, id, again)
		require.Equal(t, all, same)
	})
}

// FuzzBatchID: an id that can be read is written the same way.
func FuzzBatchID(f *testing.F) {
	f.Add("000000042000-0007.1.2")
	f.Add("000000000012-r")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseBatchID(text)
		if err != nil {
			return
		}
		again, err := ParseBatchID(id.String())
		require.NoError(t, err)
		require.Equal(t, id, again)
	})
}
