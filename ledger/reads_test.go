package ledger

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// readsApplications is how many applications TestReadsAtSpeed has; 100,000 take five gigabytes of memory and disk, and some minutes.
const readsApplications = "REPORTERD_READS"

const readsDays = 100

// fillDays writes days as they are once everything of them is booked: each application used each of benchMetrics in one hour of each.
func fillDays(t testing.TB, r *run, applications, days int) (first uint32) {
	names := []name{{nameService, "1001"}}
	for _, m := range benchMetrics {
		names = append(names, name{nameMetric, m})
	}
	for i := range applications {
		names = append(names, name{nameApplication, fmt.Sprintf("app%06d", i)})
	}
	slices.SortFunc(names, name.compare)
	for some := range slices.Chunk(names, namesAtOnce) {
		require.NoError(t, r.update(func(tx *bbolt.Tx) error { return r.names.assign(tx, some) }))
	}
	var metrics []uint32
	for _, m := range benchMetrics {
		number, ok := r.names.look(nameMetric, m)
		require.True(t, ok)
		metrics = append(metrics, number)
	}
	service, _ := r.names.look(nameService, "1001")
	first = dayOf(time.Now()) - uint32(days)
	for day := first; day < first+uint32(days); day++ {
		require.NoError(t, r.update(func(tx *bbolt.Tx) error {
			b := r.newBooking(tx, &r.names)
			for i := range applications {
				app, _ := r.names.look(nameApplication, fmt.Sprintf("app%06d", i))
				own, all := b.change(row{day, service, app}), b.all(row{day, service, 0})
				for m, metric := range metrics {
					n := int64(1 + (i*7919+int(day)*13)%4000*(m+1))
					f := Figures{Accepted: n, Delivered: n}
					own.add(metric, uint8(i%24), f)
					all.add(metric, uint8(i%24), f)
				}
			}
			r.changing(b.changes)
			return b.write(t.Context())
		}))
	}
	r.measure()
	return first
}

// TestReadsAtSpeed prints how long the reads of a large ledger take, and what it takes on disk. Without the variable it is small, and
// counts what is read in place of measuring.
func TestReadsAtSpeed(t *testing.T) {
	applications, long := 1200, false
	if text := os.Getenv(readsApplications); text != "" {
		var err error
		applications, err = strconv.Atoi(text)
		require.NoError(t, err)
		long = true
	}
	days := 8
	if long {
		days = readsDays
	}
	l, err := Open(Options{Dir: t.TempDir(), Keep: 200 * 24 * time.Hour})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	r := &run{Ledger: l}
	first := fillDays(t, r, applications, days)
	since, until := dayTime(first), dayTime(first+uint32(days))
	q := TopQuery{ServiceID: "1001", Metric: "hits", Since: dayTime(max(first, first+uint32(days)-30)), Until: until, Most: 10}
	begun := time.Now()
	slow, err := l.Top(q)
	require.NoError(t, err)
	unfiled := time.Since(begun)
	begun = time.Now()
	for r.days.settle(); ; {
		if r.fileDay(t.Context()); !r.filing {
			break
		}
	}
	filing := time.Since(begun)
	quick, err := l.Top(q)
	require.NoError(t, err)
	assert.Equal(t, slow, quick)
	s := &topSearch{TopQuery: q, ledger: l, totals: totals{figure: "delivered"}}
	require.NoError(t, s.read())
	assert.Zero(t, s.scanned, "rows of the database that were read")
	if !long {
		return
	}
	cells := float64(applications * days * len(benchMetrics))
	sizes := int64(0)
	for _, size := range r.days.sizes {
		sizes += size
	}
	t.Logf("%d applications x %d metrics x %d days = %.0f cells: ledger.db %.1f bytes a cell, files of days %.1f; %v to write the file of a day; top 10 without files %v for each day", applications, len(benchMetrics), days,
		cells, float64(l.Stats().Bytes)/cells, float64(sizes)/cells, filing/time.Duration(days), unfiled/30)
	rows := func(q Query) func() {
		q.ServiceID, q.By, q.Since, q.Until = "1001", ByDay, since, until
		return func() { require.NoError(t, l.Rows(q, func(*Row) error { return nil })) }
	}
	top := func(q TopQuery) func() {
		return func() {
			_, err := l.Top(q)
			require.NoError(t, err)
		}
	}
	all := q
	all.Since = since
	for _, c := range []struct {
		name string
		read func()
	}{
		{"one application, by day", rows(Query{AppID: "app000777"})},
		{"one service, by day", rows(Query{AllApplications: true})},
		{"one metric of all applications together, by day", rows(Query{AllApplications: true, Metric: "hits"})},
		{"one metric of each application, a page of 10,000", func() {
			q := Query{ServiceID: "1001", Metric: "hits", By: ByDay, Since: since, Until: until, most: 10_000}
			_, err := l.newSearch(q).readPage(nil)
			require.NoError(t, err)
		}},
		{"top 10 of 30 days", top(q)},
		{"top 10 of all days", top(all)},
		{"one metric of each application, sums of 30 days", top(TopQuery{ServiceID: "1001", Metric: "hits", Since: q.Since, Until: until})},
	} {
		r.days.forget()
		dropCaches(t, l)
		begun := time.Now()
		c.read()
		cold := time.Since(begun)
		var warm []time.Duration
		for range 7 {
			begun := time.Now()
			c.read()
			warm = append(warm, time.Since(begun))
		}
		slices.Sort(warm)
		t.Logf("%-50s cold %8.1f ms, repeated %8.2f ms", c.name, ms(cold), ms(warm[3]))
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// settle lets the changed days count as settled, and forget what was kept of answers.
func (d *days) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.changed)
}

func (d *days) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = keptTotals{}
}
