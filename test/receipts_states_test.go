package test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accounted is a row of the ledger, summed up over the applications of service 1001 in an hour.
type accounted struct {
	Time                                                             time.Time
	Accepted, Delivered, Pending, Sent, Partial, Double, Unconfirmed int64
}

// account returns the row of the hour of a moment.
func (d *daemon) account(at time.Time) (row accounted) {
	d.t.Helper()
	d.booked()
	at = at.UTC().Truncate(time.Hour)
	page := read[struct{ Rows []accounted }](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, fmt.Sprintf("%s/api/v1/ledger?service_id=1001&metric=hits&group=service_id&since=%d&until=%d",
		d.admin, at.Unix(), at.Add(time.Hour).Unix()), nil))
	if len(page.Rows) == 0 {
		return row
	}
	require.Len(d.t, page.Rows, 1)
	return page.Rows[0]
}

// agreedCell is a cell of a comparison, as far as receipts are concerned.
type agreedCell struct {
	Hour     time.Time
	Metric   string
	Delta    int64
	Verdict  string
	Reason   string
	Receipts string
	Double   int64
	Evidence []struct{ Batch, Fate string }
}

// TestReceiptsInLedgerAndReconcile: usage is sent, counted and counted twice in the ledger's columns, in the status and after a kill.
// 3scale's counts by hour confirm what receipts showed; where they differ, the difference is explained by the report that receipts
// named, or named itself.
func TestReceiptsInLedgerAndReconcile(t *testing.T) {
	t.Parallel() // it waits more than it works
	const applications = 450
	b := sandbox(t)
	b.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	s := newSettings(t, b.url).set("services", b.setUpReceipts()).set("batch.flush_interval", "1h").set("sender.probe_rate", 10_000).
		set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).
		set("reconcile.exclusive", true).set("reconcile.seal", "1m").set("reconcile.every", "0s")
	d := serve(t, s)
	now := time.Now()
	hour := func(n int) time.Time { return now.Add(-time.Duration(n) * time.Hour) }
	report := func(n int) {
		var all []event
		for i := range applications {
			e := hit("1001", application(i))
			e.Timestamp = hour(n).Unix()
			all = append(all, e)
		}
		d.send(all...)
		d.flush()
	}
	drained := func() {
		eventually(t, 60*time.Second, "nothing is pending", func() bool { return d.status().Events.Pending == 0 })
	}

	// The worker stands: 3scale accepted the report, and has not counted it.
	b.stopWorker()
	report(2)
	eventually(t, 30*time.Second, "it is sent", func() bool { return d.account(hour(2)).Sent == applications })
	assert.EqualValues(t, applications, d.account(hour(2)).Pending)
	b.heal()
	drained()
	row := d.account(hour(2))
	assert.EqualValues(t, applications, row.Delivered)
	assert.Zero(t, row.Sent+row.Partial+row.Double+row.Unconfirmed)

	// A slice is written twice.
	b.faults(map[string]any{"worker": map[string]any{"times": 1, "least": 400, "restart": 430}})
	report(4)
	drained()
	b.heal()
	row = d.account(hour(4))
	assert.EqualValues(t, applications, row.Delivered)
	assert.EqualValues(t, applications, row.Double)
	named := fmt.Sprintf("%012d-0000", 2*applications)
	assert.Contains(t, d.namedEnds(), named+" double counted,doubled")

	// The end of a report survives a kill, in the status and in the ledger.
	d.kill()
	d = serve(t, s)
	assert.Contains(t, d.namedEnds(), named+" double counted,doubled")
	assert.EqualValues(t, applications, d.account(hour(4)).Double)

	// A person reports past the daemon.
	report(6)
	drained()
	mustForm(t, b.url+"/transactions.xml", url.Values{
		"service_token": {"stoken1001"}, "service_id": {"1001"}, "transactions[0][app_id]": {application(1)}, "transactions[0][usage][hits]": {"5"},
		"transactions[0][timestamp]": {hour(6).UTC().Format("2006-01-02 15:04:05")},
	})

	cells := d.agreed()
	for n, want := range map[int]agreedCell{
		2: {Verdict: "match", Receipts: "confirmed"},
		4: {Verdict: "over", Receipts: "explained", Reason: fmt.Sprintf("receipts named 0 partial, %d double, 0 unconfirmed", applications), Double: applications},
		6: {Verdict: "over", Receipts: "differs", Reason: "5 more is counted than receipts showed"},
	} {
		found := false
		for _, c := range cells {
			if !c.Hour.Equal(hour(n).UTC().Truncate(time.Hour)) || c.Metric != "hits" {
				continue
			}
			found = true
			assert.Equal(t, want.Receipts, c.Receipts, "%d h ago: %+v", n, c)
			assert.Equal(t, want.Verdict, c.Verdict, "%d h ago: %+v", n, c)
			assert.Contains(t, c.Reason, want.Reason)
			assert.Equal(t, want.Double, c.Double)
			assert.Equal(t, n == 4, strings.Contains(fmt.Sprint(c.Evidence), named+" double"), "%+v", c)
		}
		assert.True(t, found, "%d h ago", n)
	}
	assert.Contains(t, metrics(d), "\nreporterd_reconcile_receipt_cells{agreement=\"differs\"} 0\n", "no comparison by the daemon itself yet")
}

// TestSentWithoutADaemon: what 3scale accepted and has not counted stands in the ledger also when no daemon uses the directory.
func TestSentWithoutADaemon(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	b.addApplications(20, func(i int) (service, name string) { return "1001", application(i) })
	config := newSettings(t, b.url).set("services", b.setUpReceipts()).set("batch.flush_interval", "1h").write(t)
	d := launch(t, config)
	d.ready()
	b.stopWorker()
	for i := range 20 {
		d.send(hit("1001", application(i)))
	}
	d.flush()
	eventually(t, 30*time.Second, "it is sent", func() bool { return d.account(time.Now()).Sent == 20 })
	d.stop()

	p := reporterd(t, "ledger", "--config", config, "--group", "service", "--output", "json")
	require.Equal(t, 0, p.exit(20*time.Second), p.printed())
	row := read[accounted](t, answer{body: p.printed()})
	assert.EqualValues(t, 20, row.Pending)
	assert.EqualValues(t, 20, row.Sent)
	p = reporterd(t, "ledger", "--config", config, "--group", "service")
	require.Equal(t, 0, p.exit(20*time.Second), p.printed())
	assert.Contains(t, p.printed(), "20 sent")
}

// namedEnds are the reports that the status names: batch, end, slices.
func (d *daemon) namedEnds() (ends []string) {
	d.t.Helper()
	page := read[struct {
		Receipts struct {
			Named []struct {
				Batch, End string
				Slices     []string
			}
		}
	}](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/status", nil))
	for _, n := range page.Receipts.Named {
		ends = append(ends, n.Batch+" "+n.End+" "+strings.Join(n.Slices, ","))
	}
	return ends
}

// agreed compares, and returns the cells.
func (d *daemon) agreed() []agreedCell {
	d.t.Helper()
	d.booked()
	return read[struct{ Cells []agreedCell }](d.t, mustCall(d.t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/reconcile?since=24h", nil)).Cells
}

// mustForm posts a form that the backend takes.
func mustForm(t *testing.T, address string, form url.Values) {
	t.Helper()
	got, err := call(testClient, http.MethodPost, address, "application/x-www-form-urlencoded", []byte(form.Encode()))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, got.status, "%s", got.body)
}

// TestConsolePageReceipts: the page shows what receipts showed, and says what delivered means: without receipts no more than that
// 3scale accepted it.
func TestConsolePageReceipts(t *testing.T) {
	if os.Getenv(browserVariable) == "" {
		t.Skip(browserVariable + "=1 opens the console in Chromium (Debian: chromium)")
	}
	t.Parallel() // it waits more than it works
	const applications = 450
	b := sandbox(t)
	plain := serve(t, newSettings(t, b.url))
	p := browse(t, plain.admin+"/")
	p.shows("delivers", "3scale accepted the report (202) and may still not count it, since no service has receipts")
	p.shows("law", "balanced")
	assert.Empty(t, p.text("receiptsum"))

	b.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	d := serve(t, newSettings(t, b.url).set("services", b.setUpReceipts()).set("batch.flush_interval", "1h").set("sender.probe_rate", 10_000))
	b.faults(map[string]any{"worker": map[string]any{"times": 1, "least": 400, "restart": 430}})
	var all []event
	for i := range applications {
		all = append(all, hit("1001", application(i)))
	}
	d.send(all...)
	d.flush()
	p = browse(t, d.admin+"/")
	p.shows("delivers", "of services with receipts, 3scale counted it")
	p.shows("receiptsum", "Reports that 3scale accepted and has not counted yet: 1.")
	p.shows("receiptsum", "450 double")
	p.shows("named", "1: counted, 2: doubled")
	p.shows("named", fmt.Sprintf("%012d-0000", applications))
	p.mu.Lock()
	defer p.mu.Unlock()
	assert.Empty(t, p.complaints, "the browser's console")
}
