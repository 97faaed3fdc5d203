package test

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// replicaReads are what every replica has to answer alike.
func replicaReads() (paths []string) {
	span := fmt.Sprintf("since=%s&until=%s", time.Now().UTC().AddDate(0, 0, -2).Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly))
	for _, path := range []string{
		"/api/v1/ledger?limit=3&", "/api/v1/ledger?format=csv&by=day&", "/api/v1/ledger?group=metric&by=month&", "/api/v1/ledger?service_id=1001&expand=false&",
		"/stats/services/1001/usage.json?metric_name=hits&granularity=day&", "/stats/services/1004/top_applications.json?metric_name=hits&period=week&",
		"/admin/api/services.json?", "/admin/api/services/1003/metrics.json?", "/admin/api/applications.json?service_id=1001&",
	} {
		paths = append(paths, path+span)
	}
	return paths
}

// bookedHits returns the hits of each service in the ledger, as one replica answers.
func bookedHits(d *daemon) (delivered map[string]int64, err error) {
	got, err := call(testClient, http.MethodGet, d.admin+"/api/v1/ledger?by=day&group=service_id,metric&metric=hits", "", nil)
	if err != nil || got.status != http.StatusOK {
		return nil, fmt.Errorf("%d %s %w", got.status, got.body, err)
	}
	page := read[struct {
		Missed bool
		Rows   []struct {
			ServiceID string `json:"service_id"`
			Delivered int64
		}
	}](d.t, got)
	require.False(d.t, page.Missed)
	delivered = map[string]int64{}
	for _, r := range page.Rows {
		delivered[r.ServiceID] += r.Delivered
	}
	return delivered, nil
}

// readOnceItAnswers reads what a replica answers for all partitions. While one of them moves to another replica, the answer is 503 and
// says to come again.
func (d *daemon) readOnceItAnswers(path string) (body string) {
	d.t.Helper()
	eventually(d.t, 30*time.Second, path+" is answered for the whole", func() bool {
		got, err := call(testClient, http.MethodGet, d.admin+path, "", nil)
		require.NoError(d.t, err)
		require.Contains(d.t, []int{http.StatusOK, http.StatusServiceUnavailable}, got.status, "%s", got.body)
		body = got.body
		return got.status == http.StatusOK
	})
	return body
}

// TestEveryReplicaHasTheWholeLedger: each replica answers for the whole cluster, and all alike. A killed owner's ledger is the next one's,
// with everything that was delivered, and nothing twice; also after all were killed and began anew on empty directories.
func TestEveryReplicaHasTheWholeLedger(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	begin := func() *daemon {
		return launch(t, clustered(t, b.url, bus).set("batch.flush_interval", "50ms").set("cluster.partitions", 5).write(t))
	}
	all := []*daemon{begin(), begin(), begin()}
	for _, d := range all {
		d.ready()
		eventually(t, 30*time.Second, "each has some", func() bool { return owned(d) > 0 })
	}
	sent := map[string]int64{}
	send := func(d *daemon, n int) {
		for range n {
			d.send(hit("1001", "bulk1"), hit("1001", "bulk2"), hit("1003", "appoauth"), hit("1004", "appref"))
			sent["1001"], sent["1003"], sent["1004"] = sent["1001"]+2, sent["1003"]+1, sent["1004"]+1
		}
	}
	agree := func(what string) {
		t.Helper()
		for i, d := range all {
			last := ""
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(last)
				}
			})
			eventually(t, 30*time.Second, fmt.Sprintf("replica %d has all %s", i, what), func() bool {
				got, err := bookedHits(d)
				last = fmt.Sprint(got, err)
				return err == nil && maps.Equal(sent, got)
			})
		}
		for service, n := range sent {
			var counted uint64
			for _, metrics := range b.usage()[service] {
				counted += metrics["hits"]
			}
			assert.EqualValues(t, n, counted, "3scale's count of %s", service)
		}
		for _, path := range replicaReads() {
			first := all[0].readOnceItAnswers(path)
			for _, d := range all[1:] {
				assert.Equal(t, first, d.readOnceItAnswers(path), path)
			}
		}
	}
	send(all[0], 30) // copied soon
	agree("that was sent")
	send(all[1], 20) // in the batch log, perhaps not in a copy
	agree("that was sent then")
	asked := all[0]
	var answers, refusals atomic.Int64
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() { // ends with stop
		for {
			select {
			case <-stop:
				return
			default:
			}
			switch got, err := bookedHits(asked); {
			case err != nil:
				refusals.Add(1)
			case !maps.Equal(sent, got):
				t.Errorf("while partitions move: %v instead of %v", got, sent)
			default:
				answers.Add(1)
			}
			pause(t.Context(), 20*time.Millisecond)
		}
	})
	all[2].kill()
	all = all[:2]
	agree("after a kill")
	eventually(t, 10*time.Second, "it answers again", func() bool { return answers.Load() > 0 })
	close(stop)
	asking.Wait()
	t.Logf("asked while partitions moved: %d times the whole, %d times refused", answers.Load(), refusals.Load())
	send(all[1], 5)
	agree("after more was sent")
	for _, d := range all {
		d.kill()
	}
	all = []*daemon{begin(), begin()}
	for _, d := range all {
		d.ready()
	}
	agree("after all were killed")
}
