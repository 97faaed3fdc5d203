package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
)

// TestStopKeepsThePartition: while a replica that stops waits for reports in flight, for longer than cluster.pin_ttl, its partition stays
// with it; the next owner begins when they are answered.
func TestStopKeepsThePartition(t *testing.T) {
	t.Parallel()
	address := natsServer(t, 0)
	var answered atomic.Bool
	var early atomic.Int32
	open := func(context.Context, int, *jetdisk.Disk) (Member, error) {
		return Member{Stop: func(ctx context.Context, clean bool) {
			select {
			case <-time.After(2 * time.Second): // the report in flight is answered
			case <-ctx.Done():
			}
			answered.Store(true)
		}}, nil
	}
	o := Options{PinTTL: 500 * time.Millisecond, Open: open}
	first, err := joined(t, address, o, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return first.Stats().Owned == 1 }, 20*time.Second, 10*time.Millisecond)
	o.Open = func(ctx context.Context, p int, d *jetdisk.Disk) (Member, error) {
		if !answered.Load() {
			early.Add(1)
		}
		return Member{Stop: func(context.Context, bool) {}}, nil
	}
	next, err := joined(t, address, o, nil)
	require.NoError(t, err)
	first.Stop(t.Context())
	require.Eventually(t, func() bool { return next.Stats().Owned == 1 }, 20*time.Second, 10*time.Millisecond)
	assert.Zero(t, early.Load(), "takeovers while a report was in flight")
}

// TestStopEnds: what a member does not finish within Stop's context does not keep the partition longer.
func TestStopEnds(t *testing.T) {
	t.Parallel()
	address := natsServer(t, 0)
	first, err := joined(t, address, Options{Open: func(context.Context, int, *jetdisk.Disk) (Member, error) {
		return Member{Stop: func(ctx context.Context, _ bool) { <-ctx.Done() }}, nil
	}}, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return first.Stats().Owned == 1 }, 20*time.Second, 10*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	first.Stop(ctx)
	first.work.Wait()
	assert.Less(t, time.Since(begun), 10*time.Second)
}

// TestLeaving: once a replica has said that it stops, no later message of it says otherwise, and the replica that stays releases
// nothing to it.
func TestLeaving(t *testing.T) {
	t.Parallel()
	address := natsServer(t, 0)
	released := new(atomic.Int32)
	o := Options{Partitions: 4, PinTTL: 5 * time.Second, Open: func(context.Context, int, *jetdisk.Disk) (Member, error) {
		return Member{Stop: func(context.Context, bool) { released.Add(1) }}, nil
	}}
	stays, err := joined(t, address, o, nil)
	require.NoError(t, err)
	leaves, err := joined(t, address, o, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return stays.Stats().Owned == 2 && leaves.Stats().Owned == 2 }, 30*time.Second, 10*time.Millisecond)
	var resurrected atomic.Int32
	leaving := false
	conn, err := nats.Connect(address)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	_, err = conn.Subscribe(stays.presence(), func(m *nats.Msg) {
		w := readAnnouncement(t, m)
		if w.Node == leaves.id {
			leaving = leaving || w.Leave
			if leaving && !w.Leave {
				resurrected.Add(1)
			}
		}
	})
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
	leaves.Stop(t.Context())
	before := released.Load()
	require.Eventually(t, func() bool { return stays.Stats().Owned == 4 }, 20*time.Second, 10*time.Millisecond)
	<-time.After(4 * time.Second) // longer than an announcement is valid
	assert.Zero(t, resurrected.Load(), "announcements after leaving")
	assert.Equal(t, before, released.Load(), "partitions released to no replica")
	assert.Equal(t, 4, stays.Stats().Owned)
}

// TestReplicaThatCannotOpen: it says why and counts as absent, so the healthy replica keeps its partitions; once it can, it gets its share.
func TestReplicaThatCannotOpen(t *testing.T) {
	t.Parallel()
	address := natsServer(t, 0)
	var lost, checks atomic.Int32
	healthy, err := joined(t, address, Options{Partitions: 2, PinTTL: 5 * time.Second, Open: func(context.Context, int, *jetdisk.Disk) (Member, error) {
		return Member{Stop: func(context.Context, bool) { lost.Add(1) }}, nil
	}}, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return healthy.Stats().Owned == 2 }, 20*time.Second, 10*time.Millisecond)
	sick := true
	var mended atomic.Bool
	full := errors.New("mkdir /data/0: no space left on device")
	ill, err := joined(t, address, Options{
		Partitions: 2, PinTTL: 5 * time.Second,
		Check: func(_ context.Context, d *jetdisk.Disk) error {
			checks.Add(1)
			if entries, err := d.ReadDir("/spool"); err != nil || len(entries) > 0 {
				return errors.New("the disk is not empty")
			}
			if !mended.Load() {
				return full
			}
			return nil
		},
		Open: func(context.Context, int, *jetdisk.Disk) (Member, error) {
			if sick {
				sick = false
				return Member{}, full
			}
			return Member{Stop: func(context.Context, bool) {}}, nil
		},
	}, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return checks.Load() >= 3 }, 30*time.Second, 10*time.Millisecond, "it tries again")
	require.ErrorIs(t, ill.Unfit(), full)
	assert.Zero(t, lost.Load())
	assert.Equal(t, 2, healthy.Stats().Owned)
	assert.Zero(t, healthy.Unowned())
	mended.Store(true)
	require.Eventually(t, func() bool { return ill.Stats().Owned == 1 && healthy.Unowned() == 0 }, 60*time.Second, 10*time.Millisecond, "after one more failure")
	require.NoError(t, ill.Unfit())
}

func readAnnouncement(t *testing.T, m *nats.Msg) (w announcement) {
	assert.NoError(t, json.Unmarshal(m.Data, &w))
	return w
}
