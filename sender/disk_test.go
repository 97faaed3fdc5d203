package sender

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// batchLog is in the path of every file that the sender's records go to.
const batchLog = "batches"

func TestOutcomeIsRememberedUntilItIsOnDisk(t *testing.T) {
	for name, landed := range map[string]disktest.Extent{"not persisted": disktest.Nothing, "persisted all the same": disktest.All} {
		for answer, failed := range map[string]struct {
			reply     reply
			delivered uint64
			dead      uint64
		}{
			"taken":   {reply{}, 1, 0},
			"refused": {refuse(422, "not_valid_data", "all data must be valid UTF8"), 0, 1},
		} {
			t.Run(answer+", "+name, func(t *testing.T) {
				d := disktest.New(disktest.Options{})
				onDisk(t, d, Options{}, func(w *world) {
					w.backend.behave(func(call) reply {
						d.Inject(disktest.Fault{On: disktest.Write | disktest.Sync | disktest.Create, Name: batchLog, Times: -1, Landed: landed})
						return failed.reply
					})
					w.seal("1", "a")
					w.wait(10 * time.Minute)
					assert.EqualValues(t, 1, w.spool.Counts().Pending)
					d.Heal()
					w.wait(time.Minute)
					c := w.spool.Counts()
					assert.Equal(t, failed.delivered, c.Delivered)
					assert.Equal(t, failed.dead, c.Dead)
					assert.Len(t, w.backend.seen(), 1, "the report is never repeated")
					assert.Equal(t, 1, w.log.FilterMessage("outcome cannot be recorded, trying again").Len())
					assert.Equal(t, 1, w.log.FilterMessage("outcome is recorded").Len())
				})
			})
		}
	}
}

func TestNothingIsSentThatCouldNotBeRecorded(t *testing.T) {
	d := disktest.New(disktest.Options{})
	onDisk(t, d, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		w.seal("1", "a")
		w.wait(time.Minute)
		n := len(w.backend.seen())
		w.backend.behave(nil)
		d.Inject(disktest.Fault{On: disktest.Write | disktest.Sync | disktest.Create, Name: batchLog, Times: -1})
		w.wait(10 * time.Minute)
		assert.Len(t, w.backend.seen(), n)
		assert.Equal(t, Retrying, w.lane("1").State)
		assert.Equal(t, "disk", w.lane("1").LastError)
		d.Heal()
		w.wait(time.Minute)
		assert.Len(t, w.backend.seen(), n+1)
		assert.EqualValues(t, 1, w.spool.Counts().Delivered)
	})
}

func TestDamagedBatchIsLostAlone(t *testing.T) {
	d := disktest.New(disktest.Options{})
	onDisk(t, d, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		w.seal("1", "before")
		w.seal("1", "damaged", "damaged too")
		w.seal("1", "after")
		require.True(t, flip(d, "damaged too"))
		w.backend.behave(nil)
		w.wait(time.Minute)
		c := w.spool.Counts()
		assert.EqualValues(t, 2, c.Delivered)
		assert.EqualValues(t, 2, c.Lost)
		assert.Zero(t, c.Pending)
		assert.EqualValues(t, 2, w.backend.hits())
		assert.Equal(t, 1, w.log.FilterMessage("sealed batch is damaged, its events are lost").Len())
	})
}

// flip changes a bit of a text in the batch log.
func flip(d *disktest.Disk, text string) bool {
	for _, name := range d.Files() {
		if !strings.Contains(name, batchLog) {
			continue
		}
		if at := bytes.Index(d.Durable(name), []byte(text)); at >= 0 {
			return d.Flip(name, int64(at), 0)
		}
	}
	return false
}
