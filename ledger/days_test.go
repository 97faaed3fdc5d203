package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// daysTest is a ledger with some days of enough applications for files.
type daysTest struct {
	*testing.T
	run   *run
	dir   string
	first uint32
}

const filedDays = 4

func newDaysTest(t *testing.T) *daysTest {
	d := &daysTest{T: t, dir: t.TempDir()}
	d.reopen()
	d.first = fillDays(t, d.run, dayRows+1, filedDays)
	d.file()
	return d
}

func (d *daysTest) reopen() {
	l, err := Open(Options{Dir: d.dir, Keep: 200 * 24 * time.Hour, Parents: func(string) map[string]string { return map[string]string{"search": "hits"} }})
	require.NoError(d, err)
	d.run = &run{Ledger: l, next: 1}
	d.Cleanup(func() { _ = l.Close() })
}

// file writes all days that need it into files.
func (d *daysTest) file() {
	d.run.days.settle()
	for more := true; more; more = d.run.filing {
		d.run.fileDay(d.Context())
	}
}

// agrees holds the sums of the files against those of the rows, and returns how many rows of the database the former took.
func (d *daysTest) agrees() (scanned int) {
	d.Helper()
	for _, q := range []TopQuery{
		{Metric: "hits", Since: dayTime(d.first), Until: dayTime(d.first + filedDays)},
		{Metric: "search", Figure: "pending", Since: dayTime(d.first).Add(5 * time.Hour), Until: dayTime(d.first + filedDays - 1).Add(3 * time.Hour)},
		{Metric: "hits", Figure: "accepted", Since: dayTime(d.first + 1), Until: dayTime(d.first + 2)},
	} {
		q.ServiceID = "1001"
		sums := make(map[string]int64)
		err := d.run.Rows(Query{ServiceID: q.ServiceID, Metric: q.Metric, Since: q.Since, Until: q.Until, By: ByDay}, func(r *Row) error {
			sums[r.AppID] += r.named(q.Figure)
			return nil
		})
		require.NoError(d, err)
		for range 2 { // the second from what was kept
			got, err := d.run.Top(q)
			require.NoError(d, err)
			found := make(map[string]int64, len(got))
			for i, t := range got {
				found[t.AppID] = t.Value
				assert.False(d, i > 0 && t.Value > got[i-1].Value, "in order")
			}
			for app, v := range sums {
				if v != found[app] {
					d.Fatalf("%+v: %s has %d, its rows say %d", q, app, found[app], v)
				}
			}
		}
		s := &topSearch{TopQuery: q, ledger: d.run.Ledger, totals: totals{figure: "delivered"}}
		d.run.days.forget()
		require.NoError(d, s.read())
		scanned += s.scanned
	}
	return scanned
}

// usage is usage of an application on one of the days.
func (d *daysTest) usage(day int, app threescale.Application) *spool.Batch {
	at := dayTime(d.first + uint32(day)).Add(7 * time.Hour)
	return &spool.Batch{ID: spool.BatchID{Position: 9}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: at, Transactions: []spool.Transaction{{Events: 1, Transaction: threescale.Transaction{
		Application: app, Timestamp: at.Unix(), Usage: threescale.Usage{{Metric: "search", Value: 1_000_000}},
	}}}}
}

// TestFilesOfDays: the files of days say what the rows say, also after a change, a loss or damage of either.
func TestFilesOfDays(t *testing.T) {
	d := newDaysTest(t)
	require.Len(t, d.run.days.sizes, filedDays)
	inside := d.agrees()
	assert.Less(t, inside, 4*dayRows, "only the days at the ends of a range are read from the database")

	happens(t, d.run, spool.BatchSealed, d.usage(1, threescale.Application{ID: "app000007"}))
	assert.Len(t, d.run.days.sizes, filedDays-1, "the file of a day that has changed")
	d.agrees()
	d.run.fileDay(t.Context())
	assert.Len(t, d.run.days.sizes, filedDays-1, "a day that has just changed gets no file")
	d.file()
	assert.Len(t, d.run.days.sizes, filedDays)
	assert.Equal(t, inside, d.agrees())

	key := threescale.Application{UserKey: "secret"}
	happens(t, d.run, spool.BatchSealed, d.usage(2, key))
	d.file()
	d.run.Learn("1001", ApplicationName(key), "app000008")
	d.run.storeWaiting(t.Context())
	assert.Len(t, d.run.days.sizes, filedDays-1, "the file of a day in which rows moved to another application")
	d.agrees()

	d.file()
	require.NoError(t, d.run.Close())
	d.reopen()
	assert.Len(t, d.run.days.sizes, filedDays, "after a restart")
	assert.Equal(t, inside, d.agrees())

	d.run.days.removeBefore(d.first + 1)
	files, err := filepath.Glob(filepath.Join(d.dir, daysDir, "*"))
	require.NoError(t, err)
	assert.Len(t, files, filedDays-1)
	d.agrees()
}

// TestStaleFilesOfDays: a file that does not fit to the database is not used: one that came back after a crash, one that is damaged in any
// place, and those of a database that was replaced by an older one.
func TestStaleFilesOfDays(t *testing.T) {
	d := newDaysTest(t)
	path := d.run.days.path(d.first + 1)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	happens(t, d.run, spool.BatchSealed, d.usage(1, threescale.Application{ID: "app000007"}))
	require.NoError(t, d.run.Close())
	require.NoError(t, os.WriteFile(path, before, 0o600))
	d.reopen()
	assert.True(t, d.run.days.has(d.first+1))
	d.agrees()

	d.run.days.removeBefore(d.first + 2)
	d.file()
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	q := TopQuery{ServiceID: "1001", Metric: "hits", Since: dayTime(d.first), Until: dayTime(d.first + filedDays)}
	truth, err := d.run.Top(q)
	require.NoError(t, err)
	for at := 0; at < len(whole); at += 1 + len(whole)/37 {
		broken := append([]byte(nil), whole...)
		broken[at] ^= 0x10
		require.NoError(t, os.WriteFile(path, broken, 0o600))
		d.run.days.forget()
		got, err := d.run.Top(q)
		require.NoError(t, err)
		require.Equal(t, truth, got, "byte %d", at)
	}
	require.NoError(t, os.WriteFile(path, whole[:len(whole)/2], 0o600))
	d.agrees()
	require.NoError(t, os.Remove(path))
	d.agrees()

	require.NoError(t, d.run.Close())
	require.NoError(t, os.Remove(filepath.Join(d.dir, fileName)))
	d.reopen()
	assert.Empty(t, d.run.days.sizes, "another database")
	files, err := filepath.Glob(filepath.Join(d.dir, daysDir, "*"))
	require.NoError(t, err)
	assert.Empty(t, files)
}
