package spool

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// TestPendingIsReadBesideEverythingElse: appends, cuts that take the journal over, and reads that fail now and then do
// not change what is read: every event behind the last cut of that moment, once, in order.
func TestPendingIsReadBesideEverythingElse(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		d := disktest.New(disktest.Options{})
		s, _ := open(t, Options{Dir: "data", FS: d, SegmentBytes: 16 << 10})
		add := func() {
			_, err := s.Append(t.Context(), someEvents(1+r.IntN(40)))
			require.NoError(t, err)
		}
		cut := func() {
			if s.Committed() == s.Readable() {
				return
			}
			upTo := s.Committed() + 1 + Position(r.Uint64N(uint64(s.Readable()-s.Committed())))
			c, err := s.BeginCut(upTo)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Commit(uint64(upTo-c.from))) }()
		}
		for range r.IntN(60) {
			add()
			if r.IntN(4) == 0 {
				cut()
			}
		}
		p := s.Pending()
		next, last := s.Committed()+1, s.Readable()
		for {
			for range r.IntN(4) {
				add()
				cut()
			}
			if r.IntN(4) == 0 {
				d.Inject(disktest.Fault{On: disktest.Read, Times: 1 + r.IntN(12), Err: syscall.EIO})
			}
			g, err := p.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				require.ErrorIs(t, err, syscall.EIO)
				d.Heal()
				continue
			}
			require.Equal(t, next, g.First)
			n := 0
			for range g.Events {
				n++
			}
			require.Equal(t, g.Count, n)
			next = g.Last + 1
		}
		assert.Equal(t, last, next-1)
		_, err := p.Next(context.Background())
		assert.ErrorIs(t, err, io.EOF)
		d.Heal()
		for s.Committed() < s.Readable() {
			cut()
		}
		require.NoError(t, p.Close())
		n, _ := s.journal.log.Files()
		assert.LessOrEqual(t, n, 1, "what was kept for the reader is released")
		assert.Zero(t, s.Counts().Lost)
		require.NoError(t, s.Close())
	}
}
