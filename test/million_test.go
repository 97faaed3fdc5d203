package test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMillion posts a million events of 1,500 applications in three services, in arrays of a hundred, and
// compares every counter.
func TestMillion(t *testing.T) {
	const (
		events       = 1_000_000
		applications = 1_500
		perRequest   = 100
	)
	services := []string{"1001", "1002", "1003"}
	b := sandbox(t)
	want, sums := tally{}, map[[2]string]uint64{} // sums are by metric and service, as reported
	b.addApplications(applications, func(i int) (service, name string) { return services[i%3], application(i) })
	d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "5s").set("spool.max_bytes", "2GiB"))
	requests := rawEvents(events/perRequest, perRequest, func(i int) string {
		a := i * 7 % applications // a stride without a common factor with the services
		service, app, transfer := services[a%3], application(a), uint64(i%1000)
		want.count(service, app, "hits", 1)
		want.count(service, app, "search", 2)
		for metric, n := range map[string]uint64{"hits": 1, "search": 2, "transfer": transfer} {
			sums[[2]string{metric, service}] += n
		}
		if transfer > 0 {
			want.count(service, app, "transfer", transfer)
		}
		name := "app_id"
		if service == "1002" {
			name = "user_key"
		}
		return fmt.Sprintf(`{"service_id":"%s","%s":"%s","usage":{"hits":1,"search":2,"transfer":%d}}`, service, name, app, transfer)
	})
	begin := time.Now()
	m, err := load{d.await("traffic"), 16, requests, perRequest}.run(t.Context())
	require.NoError(t, err)
	acknowledged := time.Since(begin)
	require.Equal(t, events/perRequest, m.requests)
	s := d.drained(60 * time.Second)
	counted, c := b.usage().counters(), b.calls()
	t.Logf("%d events acknowledged in %v, counted after %v; %d report calls with %d transactions; the largest: %d transactions, %d parameters, %d bytes",
		events, acknowledged.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond), c.Report, c.Transactions,
		c.LargestTransactions, c.LargestParams, c.LargestBytes)
	assert.True(t, assert.ObjectsAreEqual(want, counted), "%d counters, %d wanted; first difference: %s", len(counted), len(want), firstDifference(want, counted))
	assert.Equal(t, uint64(events), s.Events.Delivered)
	assert.LessOrEqual(t, c.Report, uint64(48), "report calls: a few dozen")
	assert.LessOrEqual(t, c.LargestTransactions, 1000)
	assert.LessOrEqual(t, c.LargestParams, 4096)
	assert.LessOrEqual(t, c.LargestBytes, 4<<20)
	assert.Zero(t, c.DiscardedBatches)
	eventually(t, 20*time.Second, "the metrics have all usage once it is booked", func() bool {
		metrics := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/metrics", nil).body
		for labels, n := range sums {
			if !strings.Contains(metrics, fmt.Sprintf("\nreporterd_service_usage_delivered_total{metric=%q,service_id=%q} %v\n", labels[0], labels[1], float64(n))) {
				return false
			}
		}
		return len(sums) == 9
	})
	d.stop()
}

// application is the i-th application's id, or its user key.
func application(i int) string { return fmt.Sprintf("million-%04d", i) }

// addApplications registers n applications with the sandbox; on a user key service the key is the name.
func (b *backend) addApplications(n int, named func(i int) (service, name string)) {
	b.t.Helper()
	all := make([]map[string]string, n)
	for i := range all {
		service, name := named(i)
		all[i] = map[string]string{"service_id": service, "app_id": name}
		if service == "1002" {
			all[i]["user_key"] = name
		}
	}
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", all)
}

// firstDifference names the first counter that is not as wanted.
func firstDifference(want, got tally) string {
	for _, k := range names(want, got) {
		if want[k] != got[k] {
			return fmt.Sprintf("%v: %d instead of %d", k, got[k], want[k])
		}
	}
	return "none"
}
