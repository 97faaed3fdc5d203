package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestReplicasKnowOneServiceUnderAllNames: three replicas grant together what one limit allows, whichever name of the service a call
// has and whichever replica it reaches, and its usage is in one partition under one name.
func TestReplicasKnowOneServiceUnderAllNames(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	var all []*daemon
	for range 3 {
		all = append(all, launch(t, clustered(t, b.url, bus).set("batch.flush_interval", "50ms").write(t)))
	}
	for _, d := range all {
		d.ready()
	}
	b.limited("named", limit{"hits", "eternity", 50})
	granted := 0
	for i := range 100 {
		if all[i%len(all)].authrepAs(namesOf1001[i/3%len(namesOf1001)], "named") == http.StatusOK {
			granted++
		}
	}
	assert.Equal(t, 50, granted)
	eventually(t, 30*time.Second, "all is delivered", func() bool { return b.usage()["1001"]["named"]["hits"] == 50 })
	for _, d := range all {
		for _, l := range d.status().Lanes {
			assert.Equal(t, "1001", l.ServiceID)
		}
	}
}
