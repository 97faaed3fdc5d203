package test

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// deletion is what is deleted upstream while reports that name it are on their way. One of 20 applications is concerned; of a
// metric, the usage of that application which names it.
type deletion struct {
	service  int    // its place among the sandbox's services
	userKeys bool   // its applications are called by user key
	path     string // of the sandbox
	change   map[string]any
	reasons  []string // that dead letters may have
	metric   string   // of the concerned application's usage
}

var deletions = map[string]deletion{
	"application": {
		path: "/sandbox/applications", change: map[string]any{"service_id": "1001", "app_id": application(7), "state": "deleted"},
		reasons: []string{"application_not_found"}, metric: "hits",
	},
	"metric": {
		path: "/sandbox/services", change: map[string]any{"id": "1001", "deleted_metrics": []string{"other"}},
		reasons: []string{"metric_invalid"}, metric: "other",
	},
	"user key": {
		service: 1, userKeys: true,
		path: "/sandbox/applications", change: map[string]any{"service_id": "1002", "app_id": application(7), "user_key": "another"},
		reasons: []string{"user_key_invalid", "application_not_found"}, metric: "hits",
	},
}

// TestReceiptsHeal: an application, a metric or a user key is deleted under load, with 3scale's caches of 60 s. The reports that
// 3scale drops for it, after its 202, are sent again without it. Every acknowledged event has its end: the usage of all other
// applications is counted once, and that of the concerned one is counted, or a dead letter with 3scale's reason.
func TestReceiptsHeal(t *testing.T) {
	if os.Getenv("REPORTERD_RECEIPTS") == "" {
		t.Skip("takes six minutes: set REPORTERD_RECEIPTS=1; sender's TestReceiptEvidence shows the same in fake time")
	}
	for what, deleted := range deletions {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			deleted.heal(t)
		})
	}
}

func (x deletion) heal(t *testing.T) {
	const concerned, applications, rounds = 7, 20, 50
	b := sandbox(t)
	id := fmt.Sprint(1001 + x.service)
	b.addApplications(applications, func(i int) (service, name string) { return id, application(i) })
	d := serve(t, newSettings(t, b.url).set("services", b.setUpReceiptsOf(x.service, x.userKeys)))
	b.faults(map[string]any{"backend": map[string]any{"negative_cache": "60s", "positive_cache": "60s"}})
	var deleted time.Time
	for round := range rounds {
		if round == 5 {
			mustCall(t, http.StatusOK, http.MethodPut, b.url+x.path, x.change)
			deleted = time.Now()
		}
		for i := range applications {
			e := event{ServiceID: id, AppID: application(i), Usage: map[string]uint64{"hits": 1}}
			if x.userKeys {
				e.AppID, e.UserKey = "", application(i)
			}
			if i == concerned {
				e.Usage = map[string]uint64{x.metric: 1}
			}
			d.send(e)
		}
		pause(t.Context(), 3*time.Second)
	}
	ended := d.drained(10 * time.Minute)
	counted, once := b.usage()[id], uint64(0)
	for i := range applications {
		if i != concerned {
			assert.EqualValues(t, rounds, counted[application(i)]["hits"], application(i))
			once += counted[application(i)]["hits"]
		}
	}
	own := counted[application(concerned)]["hits"] // other is a child of hits
	assert.EqualValues(t, rounds, own+ended.Events.Dead)
	for _, letter := range d.deadLetters() {
		assert.Contains(t, x.reasons, letter.Reason.Code)
	}
	voided, r := b.calls().DiscardedBatches, d.receipts().Receipts
	assert.NotZero(t, voided)
	assert.Zero(t, r.Reports["partial"]+r.Reports["double"]+r.Reports["unconfirmed"])
	t.Logf("acknowledged %d: counted once %d, dead with a reason %d, named partial 0, named double 0; %d reports were dropped after their 202, all healed %v after the deletion; %v",
		ended.Events.Accepted, once+own, ended.Events.Dead, voided, time.Since(deleted).Round(time.Second), r.Reports)
}
