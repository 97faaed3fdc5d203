package test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// receiptsStatus is what the status says of receipts.
type receiptsStatus struct {
	Receipts *struct {
		Open    int               `json:"open_reports"`
		Reports map[string]uint64 `json:"reports"`
		Events  map[string]uint64 `json:"events"`
		Absent  []string          `json:"absent_services"`
	}
}

func (d *daemon) receipts() receiptsStatus {
	d.t.Helper()
	return read[receiptsStatus](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/status", nil))
}

// setUpReceipts makes the receipt metrics and applications of service 1001, and returns the configuration of the services.
func (b *backend) setUpReceipts() []any { return b.setUpReceiptsOf(0, false) }

// setUpReceiptsOf does so for one of the sandbox's services; by user key, if its applications are called by user key.
func (b *backend) setUpReceiptsOf(service int, userKeys bool) []any {
	b.t.Helper()
	services := sandboxServices()
	of := services[service].(map[string]any)
	var names []string
	var metrics, limits []map[string]any
	for n := range 16 {
		name := fmt.Sprint("r", n)
		names = append(names, name)
		metrics = append(metrics, map[string]any{"name": name})
		limits = append(limits, map[string]any{"metric": name, "period": "eternity", "max": uint64(1) << 62})
	}
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/services", map[string]any{"id": of["id"], "metrics": metrics})
	receipts := map[string]any{"metrics": names}
	if userKeys {
		receipts["user_keys"] = true
	}
	for _, place := range []string{"first", "second", "third", "last"} {
		id := "receipt-" + place
		receipts[place] = id
		a := map[string]any{"service_id": of["id"], "app_id": id, "limits": limits}
		if userKeys {
			a["user_key"] = id
		}
		mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", a)
	}
	of["receipts"] = receipts
	return services
}

// faults sets any faults of the sandbox.
func (b *backend) faults(all map[string]any) {
	b.t.Helper()
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", all)
}

// TestReceipts: delivered means counted, by the binary. The worker is behind, an answer is lost and its report lands later, and
// the daemon is killed while reports wait for their receipts: each event is counted once, and none is delivered before.
func TestReceipts(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	b.addApplications(500, func(i int) (service, name string) { return "1001", application(i) })
	s := newSettings(t, b.url).set("services", b.setUpReceipts()).set("sender.negative_cache", "1s")
	d := serve(t, s)
	send := func() {
		var all []event
		for i := range 500 {
			all = append(all, hit("1001", application(i)))
		}
		d.send(all...)
	}
	b.faults(map[string]any{"worker": map[string]any{"stop": true}})
	send()
	eventually(t, 20*time.Second, "a report is sent", func() bool { return b.calls().Report > 0 })
	time500 := d.status().Events
	assert.EqualValues(t, 500, time500.Pending, "3scale accepted it, and did not count it")
	d.kill()
	b.faults(map[string]any{"report": map[string]any{"times": 1, "close": true, "landed": true, "late": "3s"}})
	d = serve(t, s)
	send()
	ended := d.drained(90 * time.Second)
	assert.EqualValues(t, 1000, ended.Events.Delivered)
	assert.Zero(t, ended.Events.Dead)
	counted := b.usage()["1001"]
	for i := range 500 {
		require.EqualValues(t, 2, counted[application(i)]["hits"], application(i))
	}
	r := d.receipts().Receipts
	require.NotNil(t, r)
	assert.EqualValues(t, 1000, r.Events["counted"])
	assert.Zero(t, r.Open)
}

// TestReceiptsOff: without receipts nothing rides along, and the status does not speak of any.
func TestReceiptsOff(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	b.addApplications(50, func(i int) (service, name string) { return "1001", application(i) })
	d := serve(t, newSettings(t, b.url).set("sender.negative_cache", "1s"))
	for i := range 50 {
		d.send(hit("1001", application(i)))
	}
	d.drained(30 * time.Second)
	assert.EqualValues(t, 50, b.calls().Transactions)
	assert.Nil(t, d.receipts().Receipts)
}
