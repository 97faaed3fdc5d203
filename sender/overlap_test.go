package sender

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool/disk"
)

// slowDisk is a disk on which a sync of the batch log takes a second.
type slowDisk struct{ disk.FS }

// OpenFile implements disk.FS.
func (d slowDisk) OpenFile(name string, flag int, perm os.FileMode) (disk.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	if err != nil || !strings.Contains(name, batchLog) {
		return f, err
	}
	return slowFile{f}, nil
}

type slowFile struct{ disk.File }

// Sync implements disk.File.
func (f slowFile) Sync() error {
	<-time.After(time.Second)
	return f.File.Sync()
}

// TestReportsBeginWhileOutcomesAreRecorded has a disk that is slower than the backend: the record of an outcome and that of the next
// attempt share a sync, so as many reports take fewer syncs.
func TestReportsBeginWhileOutcomesAreRecorded(t *testing.T) {
	const lanes, most = 200, 8
	onDisk(t, slowDisk{disk.OS{}}, Options{MaxInFlight: most}, func(w *world) {
		for i := range lanes {
			w.configure(fmt.Sprint(i), "t")
		}
		sealLanes(t, w.spool, lanes)
		began := time.Now()
		for w.spool.Counts().Pending > 0 && time.Since(began) < 5*time.Minute {
			w.wait(time.Second)
		}
		assert.LessOrEqual(t, time.Since(began), lanes/most*3*time.Second, "88 s if each report waited for its own outcome")
		require.Len(t, w.backend.seen(), lanes)
	})
}

// TestFewOutcomesWaitToBeRecorded has a disk that records no outcome: not more reports are sent than may be in flight, twice, since a
// kill makes each of them ambiguous.
func TestFewOutcomesWaitToBeRecorded(t *testing.T) {
	const lanes, most = 50, 4
	onDisk(t, slowDisk{disk.OS{}}, Options{MaxInFlight: most}, func(w *world) {
		for i := range lanes {
			w.configure(fmt.Sprint(i), "t")
		}
		sealLanes(t, w.spool, lanes)
		for w.spool.Counts().Pending > 0 {
			w.wait(100 * time.Millisecond)
			unrecorded := len(w.backend.seen()) - int(w.spool.Counts().Delivered)
			require.LessOrEqual(t, unrecorded, 2*most)
		}
	})
}
