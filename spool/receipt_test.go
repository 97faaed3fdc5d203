package spool

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// receiptOf is what is known of the only batch's receipt.
func receiptOf(t *testing.T, s *Spool) (receipt string, sent bool) {
	t.Helper()
	infos := s.Batches()
	require.Len(t, infos, 1)
	return infos[0].Receipt, infos[0].Sent
}

// A receipt is durable with its attempt, and stays with the batch through restarts and copies until it is withdrawn.
func TestReceiptsStayWithTheirBatches(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegment}
	s, _ := open(t, o)
	appendAll(t, s, goldenEvents()[:1])
	cutAll(t, s)
	id := s.Batches()[0].ID
	require.NoError(t, s.AttemptWithReceipt(id, time.Unix(7, 0), []byte("one")))
	reopen := func() {
		require.NoError(t, s.Close())
		s, _ = open(t, o)
	}

	reopen()
	receipt, sent := receiptOf(t, s)
	assert.Equal(t, "one", receipt)
	assert.False(t, sent)
	assert.Equal(t, 1, s.Batches()[0].Ambiguous, "the daemon ended in the middle of the attempt")
	assert.Equal(t, time.Unix(7, 0), s.Batches()[0].Attempted)

	require.NoError(t, s.AttemptWithReceipt(id, time.Unix(8, 0), []byte("two")))
	require.NoError(t, s.Sent(id))
	reopen()
	require.NoError(t, s.batches.copyForward(s.batches.index.live[id]))
	reopen()
	receipt, sent = receiptOf(t, s)
	assert.Equal(t, "two", receipt)
	assert.True(t, sent)
	assert.Equal(t, 1, s.Batches()[0].Ambiguous, "a report that the backend took is not one without an outcome")
	assert.EqualValues(t, 1, s.Counts().Pending)

	require.NoError(t, s.WithdrawReceipt(id))
	reopen()
	receipt, sent = receiptOf(t, s)
	assert.Empty(t, receipt)
	assert.False(t, sent)

	require.NoError(t, s.AttemptWithReceipt(id, time.Unix(9, 0), []byte("three")))
	require.NoError(t, s.Ambiguous(id))
	require.NoError(t, s.SendAgain(id))
	reopen()
	assert.Zero(t, s.Batches()[0].Unresolved, "it is known that nothing was counted")
	assert.Equal(t, 2, s.Batches()[0].Ambiguous)
	receipt, sent = receiptOf(t, s)
	assert.Equal(t, "three", receipt)
	assert.False(t, sent)
	require.NoError(t, s.DropReceipt(id))
	reopen()
	receipt, _ = receiptOf(t, s)
	assert.Empty(t, receipt)
	require.NoError(t, s.AttemptWithReceipt(id, time.Unix(10, 0), []byte("four")))
	require.NoError(t, s.Resolve(id, Resolution{Delivered: []int{0}}))
	assert.ErrorIs(t, s.Sent(id), ErrUnknownBatch)
	assert.ErrorIs(t, s.WithdrawReceipt(id), ErrUnknownBatch)
	assert.ErrorIs(t, s.AttemptWithReceipt(id, time.Now(), []byte("x")), ErrUnknownBatch)
	assert.Error(t, s.AttemptWithReceipt(id, time.Now(), nil))
	assert.Error(t, s.AttemptWithReceipt(id, time.Now(), make([]byte, MaxReceipt+1)))
	assert.EqualValues(t, 1, checkLaw(t, s, 0).Delivered)
	require.NoError(t, s.Close())
}

// The record's bytes are those of doc.go. A log without such records is read as before: TestOldDirectory.
func TestReceiptRecord(t *testing.T) {
	r := &record{kind: recordReceipt, id: BatchID{Position: 300, Index: 2, Path: 5}, sent: true, receipt: "abc"}
	written := r.append(nil)
	assert.Equal(t, "0a0000000fac02020501", hex.EncodeToString(written[:4])+hex.EncodeToString(written[8:14]))
	assert.Equal(t, "03616263", hex.EncodeToString(written[14:]))
	again, err := newIndex(&counters{}).parseRecord(written[recordHead:], 0)
	require.NoError(t, err)
	assert.Equal(t, r, again)
}

func TestReservedReceiptsAreReplacedWhole(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegment}
	s, _ := open(t, o)
	defer func() { _ = s.Close() }()
	data, err := s.LoadReceipts()
	require.NoError(t, err)
	assert.Nil(t, data)
	for _, text := range []string{"a longer one", "short"} {
		require.NoError(t, s.SaveReceipts([]byte(text)))
		data, err = s.LoadReceipts()
		require.NoError(t, err)
		assert.Equal(t, text, string(data))
	}
	require.NoError(t, os.Truncate(filepath.Join(o.Dir, reservedName), maxReserved+1))
	_, err = s.LoadReceipts()
	assert.ErrorContains(t, err, "expected at most")
}
