package ledger

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// overwrite changes one byte of a row wherever a file has it, also in pages that are not in use any more.
func overwrite(t *testing.T, path string, row []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	for at := 0; ; at++ {
		next := bytes.Index(data[at:], row)
		if next < 0 {
			break
		}
		at += next
		_, err = file.WriteAt([]byte{row[len(row)-6] ^ 4}, int64(at+len(row)-6))
		require.NoError(t, err)
	}
	require.NoError(t, file.Close())
}

// TestRepairBesideTheBooking: a read that runs into damage gets 503, the loop that waits for news repairs the file at once, and
// then answers what holds, marked, and goes on booking where it was.
func TestRepairBesideTheBooking(t *testing.T) {
	h := newHistory(t, 11)
	h.appended("damaged", "other")
	h.bookOnce()
	h.crash()
	require.NoError(t, h.run.feed.Close())
	h.ledger.setUnreadable(ErrUnchecked) // as if the file were large
	h.ledger.setCheckDue(time.Time{})
	assert.Equal(t, http.StatusServiceUnavailable, asked(h.ledger, "").Code)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.ledger.Run(ctx, h.spool)
	}()
	until := func(what string, holds func() bool) {
		t.Helper()
		require.Eventually(t, holds, 20*time.Second, 10*time.Millisecond, what)
	}
	until("it is checked", func() bool { return asked(h.ledger, "").Code == http.StatusOK })
	assert.False(t, h.ledger.Stats().Missed)

	var row []byte
	require.NoError(t, h.ledger.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketDays).Cursor()
		c.First()
		k, v := c.Next() // of an application
		row = append(bytes.Clone(k), v...)
		return nil
	}))
	for tries := 0; ; tries++ { // a booking beside this may have copied the row to another page meanwhile
		overwrite(t, filepath.Join(h.dir, fileName), row)
		err := h.ledger.Rows(Query{}, func(*Row) error { return nil })
		if damaged(err) || errors.Is(err, ErrDamaged) {
			break
		}
		require.Less(t, tries, 10, "%v", err)
	}
	until("it is repaired", func() bool { return asked(h.ledger, "").Code == http.StatusOK })
	assert.True(t, h.ledger.Stats().Missed)
	h.appended("later")
	until("it books", func() bool {
		later := false
		_ = h.ledger.Rows(Query{}, func(r *Row) error { later = later || r.AppID == "later"; return nil })
		return later
	})
	seen := map[string]int64{}
	require.NoError(t, h.ledger.Rows(Query{}, func(r *Row) error { seen[r.AppID] += r.Accepted; return nil }))
	assert.Len(t, seen, 2, "%v", seen)
	assert.EqualValues(t, 1, seen["later"])
	aside, err := filepath.Glob(filepath.Join(h.dir, fileName+".damaged-*"))
	require.NoError(t, err)
	assert.Len(t, aside, 1)
	cancel()
	<-ended
	require.NoError(t, h.ledger.Close())
	require.NoError(t, h.spool.Close())
}
