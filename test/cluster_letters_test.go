package test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// somewhere are services of the sandbox; they are spread over the partitions.
var somewhere = []event{
	{ServiceID: "1001", AppID: "bulk1"}, {ServiceID: "1002", UserKey: "ukey1"}, {ServiceID: "1003", AppID: "appoauth"}, {ServiceID: "1004", AppID: "appref"},
}

// TestReplicaOrdersPageByPage: an order about more dead letters than a page has is gone on with where it ended, through
// all partitions: each letter is met once.
func TestReplicaOrdersPageByPage(t *testing.T) {
	t.Parallel()
	const each = 5
	b := sandbox(t)
	d := serve(t, clustered(t, b.url, oneServer(t)).set("batch.flush_interval", "50ms").set("sender.negative_cache", "0s"))
	for i := range each {
		for _, e := range somewhere {
			if e.AppID != "" {
				d.send(hit(e.ServiceID, fmt.Sprintf("nobody%d", i)))
			}
		}
	}
	const all = 3 * each
	eventually(t, 30*time.Second, "all are dead", func() bool { return d.status().Events.Dead == all })
	type page struct {
		DeadLetters []struct{ ID string }
		IDs, Errors []string
		Next        string
	}
	listed := map[string]bool{}
	for cursor, more := "", true; more; more = cursor != "" {
		p := read[page](t, mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/deadletters?limit=2&cursor="+url.QueryEscape(cursor), nil))
		for _, l := range p.DeadLetters {
			require.False(t, listed[l.ID], "%s twice", l.ID)
			listed[l.ID] = true
		}
		cursor = p.Next
	}
	require.Len(t, listed, all)
	for _, dry := range []bool{true, false} {
		met := map[string]bool{}
		for cursor, more := "", true; more; more = cursor != "" {
			p := read[page](t, mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/deadletters/drop",
				map[string]any{"all": true, "limit": 2, "cursor": cursor, "dry_run": dry}))
			require.Empty(t, p.Errors)
			require.LessOrEqual(t, len(p.IDs), 2, "a page has no more than its limit")
			for _, id := range p.IDs {
				require.False(t, met[id], "%s twice", id)
				met[id] = true
			}
			cursor = p.Next
		}
		assert.Equal(t, listed, met, "dry run: %v", dry)
	}
}

// TestReplicaParkedReports: reports of several partitions whose outcome nobody saw have names of their own, are all listed
// however many a page has, and what is decided about one is not done to another. No user key is told.
func TestReplicaParkedReports(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	set := func() settings {
		return clustered(t, b.url, bus).set("batch.flush_interval", "50ms").set("sender.on_ambiguous", "park").set("backend.timeout", "1s")
	}
	d, other := launch(t, set().write(t)), launch(t, set().write(t))
	for _, replica := range []*daemon{d, other} {
		replica.ready()
		eventually(t, 30*time.Second, "each has some", func() bool { return owned(replica) > 0 })
	}
	send := func() {
		for _, e := range somewhere {
			e.Usage = map[string]uint64{"hits": 1}
			d.send(e)
		}
	}
	send()
	eventually(t, 30*time.Second, "the first are delivered, and so proven", func() bool { return d.status().Events.Delivered == 4 })
	b.failReports(fault{Status: 504, Times: 4})
	send()
	type page struct {
		Parked []struct {
			ID        string
			ServiceID string `json:"service_id"`
		}
		Next string
	}
	list := func() map[string]string { // services by id, as one of the replicas lists them
		d, other = other, d
		got := map[string]string{}
		for cursor, more := "", true; more; more = cursor != "" {
			a := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/parked?limit=1&cursor="+url.QueryEscape(cursor), nil)
			require.NotContains(t, a.body, `"ukey1"`, "a user key is a secret")
			p := read[page](t, a)
			for _, one := range p.Parked {
				got[one.ID] = one.ServiceID
			}
			cursor = p.Next
		}
		return got
	}
	eventually(t, 30*time.Second, "all four are parked", func() bool { return len(list()) == 4 })
	for left := list(); len(left) > 0; left = list() {
		for id, service := range left {
			mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/parked/"+id+"/counted", nil)
			delete(left, id)
			require.Equal(t, left, list(), "only that of service %s is decided about", service)
			break
		}
	}
	assert.EqualValues(t, 8, d.status().Events.Delivered)
	mustCall(t, http.StatusNotFound, http.MethodPost, d.admin+"/api/v1/parked/000000000001-0000/counted", nil)

	for _, list := range []string{"/api/v1/parked", "/api/v1/deadletters"} {
		mustCall(t, http.StatusBadRequest, http.MethodGet, d.admin+list+"?cursor=zz", nil)
	}

	// Figures by service are there as on one machine.
	m := metrics(d) + metrics(other)
	assert.Contains(t, m, "reporterd_services 5\n")
	assert.Contains(t, m, `reporterd_service_events_delivered_total{service_id="1001"} 2`+"\n")
}
