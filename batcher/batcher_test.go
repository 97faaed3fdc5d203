package batcher

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/threescale"
)

// world is a Batcher over a real spool.
type world struct {
	t       *testing.T
	spool   *spool.Spool
	batcher *Batcher
	stop    func() error // ends Run and waits for it
}

// inWorld runs a test in a synctest bubble, with a Batcher running.
func inWorld(t *testing.T, o Options, test func(*world)) {
	onDisk(t, t.TempDir(), nil, o, test)
}

func onDisk(t *testing.T, dir string, fs disk.FS, o Options, test func(*world)) {
	o.Aggregate = true
	synctest.Test(t, func(t *testing.T) {
		s, _, err := spool.Open(spool.Options{Dir: dir, FS: fs, SegmentBytes: 1 << 20})
		require.NoError(t, err)
		o.Spool = s
		w := &world{t: t, spool: s, batcher: New(o)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.batcher.Run(ctx) }()
		w.stop = sync.OnceValue(func() error {
			cancel()
			return <-ended
		})
		test(w)
		_ = w.stop()
		c := s.Counts()
		assert.Equal(t, c.Accepted, c.Delivered+c.Dead+c.Pending+c.Lost, "%+v", c)
		require.NoError(t, s.Close())
	})
}

// accept keeps n events of one hit for application a of a service.
func (w *world) accept(serviceID string, n int) {
	w.t.Helper()
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: serviceID, Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "a"}, Usage: threescale.Usage{hits(1)}, Timestamp: time.Now().Unix(),
		}}
	}
	_, err := w.spool.Append(w.t.Context(), events)
	require.NoError(w.t, err)
}

// wait lets time pass, and everything settle.
func (w *world) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestWindowIsCutWhenItComesOfAge(t *testing.T) {
	inWorld(t, Options{FlushInterval: 5 * time.Second}, func(w *world) {
		for range 48 { // of the hundred milliseconds
			w.accept("1", 10)
			w.wait(100 * time.Millisecond)
		}
		assert.Empty(t, w.spool.Batches())
		assert.EqualValues(t, 480, w.batcher.Window().Events)
		w.wait(200 * time.Millisecond)
		batches := w.spool.Batches()
		require.Len(t, batches, 1)
		assert.EqualValues(t, 480, batches[0].Events)
		assert.Equal(t, 1, batches[0].Transactions)
		assert.EqualValues(t, 480, w.spool.Committed())
		assert.Zero(t, w.batcher.Window().Events)
		assert.EqualValues(t, 1, w.batcher.Window().Cuts)
		assert.Equal(t, 5*time.Second, batches[0].Sealed.Sub(batches[0].OldestAccepted))
	})
}

func TestNothingIsCutWithoutEvents(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.wait(time.Hour)
		assert.Zero(t, w.batcher.Window().Cuts)
	})
}

func TestWindowIsCutWhenItIsFull(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour, MaxWindow: 3}, func(w *world) {
		w.accept("1", 10)
		w.accept("2", 10)
		w.wait(time.Second)
		assert.Empty(t, w.spool.Batches())
		w.accept("3", 10)
		w.wait(time.Second)
		assert.Len(t, w.spool.Batches(), 3)
	})
}

func TestWindowIsCutWhenItTakesTooMuchMemory(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour, MaxWindowBytes: 64 << 10}, func(w *world) {
		w.accept("1", 10)
		w.wait(time.Second)
		assert.Empty(t, w.spool.Batches())
		for i := range 1000 {
			w.accept(fmt.Sprint(i), 1)
		}
		w.wait(time.Second)
		assert.NotEmpty(t, w.spool.Batches())
	})
}

func TestFlushSealsWhatWasAcceptedBefore(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour}, func(w *world) {
		upTo, err := w.batcher.Flush(w.t.Context())
		require.NoError(t, err)
		assert.Zero(t, upTo)
		for n := range uint64(20) {
			w.accept("1", 3)
			if n%2 == 0 {
				synctest.Wait() // it is in the window already
			}
			began := time.Now()
			upTo, err = w.batcher.Flush(w.t.Context())
			require.NoError(t, err)
			assert.EqualValues(t, 3*(n+1), upTo)
			assert.Len(t, w.spool.Batches(), int(n)+1)
			assert.Less(t, time.Since(began), time.Millisecond)
		}
	})
}

func TestManyFlushesAtOnce(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour}, func(w *world) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				w.accept("1", 1)
				_, err := w.batcher.Flush(w.t.Context())
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.EqualValues(t, 20, w.spool.Committed())
	})
}

func TestFlushEndsWithItsContext(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour}, func(w *world) {
		require.NoError(t, w.stop())
		w.accept("1", 1)
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		_, err := w.batcher.Flush(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestStopMakesALastCut(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour}, func(w *world) {
		w.accept("1", 3)
		synctest.Wait()
		w.accept("2", 4)
		require.NoError(t, w.stop())
		assert.Len(t, w.spool.Batches(), 2)
		assert.EqualValues(t, 7, w.spool.Committed())
	})
}

func TestEventsWithoutUsageAreDelivered(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		_, err := w.spool.Append(w.t.Context(), []event.Event{{ServiceID: "1", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: "a"}, Timestamp: time.Now().Unix(),
		}}})
		require.NoError(t, err)
		w.wait(6 * time.Second)
		assert.EqualValues(t, 1, w.spool.Counts().Delivered)
		assert.Empty(t, w.spool.Batches())
	})
}

func TestRestartTakesUpWhatWasNotCut(t *testing.T) {
	dir := t.TempDir()
	for life := range uint64(4) {
		onDisk(t, dir, nil, Options{FlushInterval: time.Hour}, func(w *world) {
			_, err := w.batcher.Flush(w.t.Context())
			require.NoError(t, err)
			assert.Equal(t, spool.Position(5*life), w.spool.Committed())
			assert.Equal(t, 5*life, w.spool.Counts().Pending)
			require.NoError(t, w.stop())
			w.accept("1", 5) // no cut is made before the restart
		})
	}
}

func TestLanesGetBatchesOfTheirOwn(t *testing.T) {
	inWorld(t, Options{FlushInterval: time.Hour, MaxTransactions: 10}, func(w *world) {
		var events []event.Event
		for i := range 25 {
			e := *used(time.Now().Unix(), hits(1))
			e.Application.ID = fmt.Sprint("a", i)
			events = append(events, e)
			e.FlatUsage = true
			events = append(events, e)
		}
		_, err := w.spool.Append(w.t.Context(), events)
		require.NoError(t, err)
		upTo, err := w.batcher.Flush(w.t.Context())
		require.NoError(t, err)
		var sizes []int
		for n, b := range w.spool.Batches() {
			assert.Equal(t, spool.BatchID{Position: upTo, Index: uint32(n)}, b.ID)
			assert.Equal(t, n >= 3, b.FlatUsage)
			sizes = append(sizes, b.Transactions)
		}
		assert.Equal(t, []int{10, 10, 5, 10, 10, 5}, sizes)
	})
}
