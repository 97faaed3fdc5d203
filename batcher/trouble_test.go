package batcher

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk/disktest"
)

func TestFailedCutIsMadeAgain(t *testing.T) {
	for name, fault := range map[string]disktest.Fault{
		"write":          {On: disktest.Write, Name: "batches"},
		"full":           {On: disktest.Write | disktest.Create | disktest.Allocate, Name: "batches", Err: syscall.ENOSPC},
		"sync":           {On: disktest.Sync, Name: "batches"},
		"sync that held": {On: disktest.Sync, Name: "batches", Landed: disktest.All},
	} {
		t.Run(name, func(t *testing.T) {
			d := disktest.New(disktest.Options{})
			var troubles []Trouble
			o := Options{FlushInterval: 5 * time.Second, Trouble: func(t Trouble) { troubles = append(troubles, t) }}
			onDisk(t, "/data", d, o, func(w *world) {
				w.accept("1", 10)
				fault.Times = -1
				d.Inject(fault)
				w.wait(time.Minute)
				assert.Zero(t, w.spool.Committed())
				assert.EqualValues(t, 10, w.spool.Counts().Pending)
				require.Len(t, troubles, 1)
				assert.Error(t, troubles[0].Err)

				d.Heal()
				w.wait(10 * time.Second)
				assert.EqualValues(t, 10, w.spool.Committed())
				batches := w.spool.Batches()
				require.Len(t, batches, 1)
				assert.EqualValues(t, 10, batches[0].Events)
				require.Len(t, troubles, 2)
				assert.NoError(t, troubles[1].Err)
				assert.Greater(t, troubles[1].Failures, 1)
				assert.Greater(t, troubles[1].Lasted, 50*time.Second)
			})
		})
	}
}

func TestStopSaysThatTheLastCutFailed(t *testing.T) {
	d := disktest.New(disktest.Options{})
	onDisk(t, "/data", d, Options{FlushInterval: time.Hour}, func(w *world) {
		w.accept("1", 10)
		d.Inject(disktest.Fault{On: disktest.Write | disktest.Sync | disktest.Create, Name: "batches", Times: -1})
		assert.ErrorIs(t, w.stop(), syscall.EIO)
		assert.EqualValues(t, 10, w.spool.Counts().Pending)
	})
}
