package batcher

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// TestSealedBatchesHoldWhatWasAcknowledged sends random events through a real spool on a disk that
// crashes, several lives long, and reads back what was sealed.
func TestSealedBatchesHoldWhatWasAcknowledged(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 3))
		d := disktest.New(disktest.Options{Seed: seed})
		in := newLedger()
		for range 4 {
			live(t, d, r, in)
			d = d.Crash()
		}
		out := newLedger()
		s, _, err := spool.Open(spool.Options{Dir: "/data", FS: d, SegmentBytes: 64 << 10})
		require.NoError(t, err, "seed %d", seed)
		flush(t, s, Options{}, func(*Batcher) {})
		seen := map[spool.BatchID]bool{}
		for _, info := range s.Batches() {
			b, err := s.Load(info.ID)
			require.NoError(t, err, "seed %d", seed)
			assert.False(t, seen[b.ID], "seed %d: batch %s twice", seed, b.ID)
			seen[b.ID] = true
			for i := range b.Transactions {
				out.book(lane{b.Lane, b.FlatUsage}, &b.Transactions[i].Transaction, uint64(b.Transactions[i].Events))
			}
		}
		c := s.Counts()
		assert.Equal(t, in.events, c.Accepted, "seed %d", seed)
		assert.Equal(t, c.Pending, out.events, "seed %d", seed)
		out.events += c.Delivered // had nothing to report
		assert.Equal(t, in, out, "seed %d", seed)
		require.NoError(t, s.Close())
	}
}

// live is one life of the daemon, ended in the middle.
func live(t *testing.T, d *disktest.Disk, r *rand.Rand, in *ledger) {
	t.Helper()
	s, _, err := spool.Open(spool.Options{Dir: "/data", FS: d, SegmentBytes: 64 << 10})
	require.NoError(t, err)
	o := Options{FlushInterval: time.Hour, Aggregate: r.IntN(4) > 0, MaxTransactions: 1 + r.IntN(100), MaxWindow: 1 + r.IntN(300)}
	flush(t, s, o, func(b *Batcher) {
		for range 1 + r.IntN(20) {
			events := make([]event.Event, 1+r.IntN(50))
			for i := range events {
				e := randomEvent(r)
				events[i] = *e
				in.book(lane{spool.LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}, e.FlatUsage}, &e.Transaction, 1)
			}
			_, err := s.Append(t.Context(), events)
			require.NoError(t, err)
			if r.IntN(4) == 0 {
				_, err := b.Flush(t.Context())
				require.NoError(t, err)
			}
		}
		d.Stop() // Run's last cut finds no disk
	})
	_ = s.Close()
}

// flush runs a Batcher over a spool while use does.
func flush(t *testing.T, s *spool.Spool, o Options, use func(*Batcher)) {
	t.Helper()
	o.Spool = s
	b := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	use(b)
	cancel()
	<-ended
}
