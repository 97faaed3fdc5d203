package test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// byUserKey asks about application appuk of a user-key service.
var byUserKey = url.Values{"service_token": {"stoken1002"}, "service_id": {"1002"}, "user_key": {"ukey1"}}

// authorizeByKey asks about application appuk by its user key.
func (d *daemon) authorizeByKey() {
	d.t.Helper()
	mustCall(d.t, http.StatusOK, http.MethodGet, d.traffic+"/transactions/authorize.xml?"+byUserKey.Encode(), nil)
}

// ledgerOf1002 are the ledger's sums of service 1002: application, what was accepted, delivered and is dead.
func (d *daemon) ledgerOf1002() (rows []string) {
	d.booked()
	text := mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/ledger?service_id=1002&by=month&format=csv&since=2000-01-01&group=app_id", nil).body
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
		f := strings.Split(line, ",")
		rows = append(rows, strings.Join([]string{f[2], f[4], f[5], f[7]}, " "))
	}
	return rows
}

// TestUserKeyAndIDUnderOneName: an application of a user-key service that is reported partly by its id and partly by its user key, and
// never authorized at first, has one name in the ledger, in /stats/, in reconcile, in parked reports and in dead letters, also after kills.
func TestUserKeyAndIDUnderOneName(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	config := newSettings(t, b.url).set("batch.flush_interval", "20ms").set("portal.url", b.url).set("portal.access_token", "atoken").
		set("portal.per_second", 100).set("reconcile.exclusive", true).set("reconcile.seal", "1m").set("reconcile.every", "0s").
		set("sender.negative_cache", "200ms").set("sender.on_ambiguous", "park").write(t)
	d := launch(t, config)
	d.ready()
	at := time.Now().Add(-3 * time.Hour).Unix()
	byKey, byID := event{UserKey: "ukey1"}, event{AppID: "appuk"}
	report := func(app event, hits uint64) {
		app.ServiceID, app.Usage, app.Timestamp = "1002", map[string]uint64{"hits": hits}, at
		d.send(app)
		d.flush()
	}
	report(byKey, 5)
	report(byID, 7)
	d.drained(10 * time.Second)
	eventually(t, 10*time.Second, "what was booked under the key is under the id", func() bool {
		return slices.Equal(d.ledgerOf1002(), []string{"appuk 12 12 0"})
	})
	d.authorizeByKey()
	wanted := 12
	for range 3 {
		d.kill()
		d = launch(t, config)
		d.ready()
		report(byKey, 1)
		report(byID, 1)
		wanted += 2
		d.drained(10 * time.Second)
		assert.Equal(t, []string{fmt.Sprintf("appuk %d %d 0", wanted, wanted)}, d.ledgerOf1002())
	}

	b.failReports(fault{Status: 202, Times: 1}) // taken, and dropped
	report(byKey, 100)
	b.heal()
	wanted += 100
	d.drained(10 * time.Second)
	d.booked()
	status, lines := compared(t, config, "--service", "1002")
	assert.Equal(t, 3, status)
	require.Len(t, lines, 1)
	assert.Regexp(t, `^appuk short -100 \S+ dropped$`, lines[0])
	assert.Contains(t, strings.Join(d.logged(), "\n"), "3scale did not count what it accepted", "the proofs of what was dropped end")

	applications := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/admin/api/applications.json?service_id=1002", nil).body
	assert.Equal(t, 1, strings.Count(applications, `"application":`), applications)
	assert.Contains(t, applications, `"application_id":"appuk"`)
	top := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/stats/services/1002/top_applications.json?metric_name=hits&period=year&since="+
		time.Now().UTC().Format(time.DateOnly), nil).body
	assert.Contains(t, top, fmt.Sprintf(`"value":"%d"`, wanted))

	b.failReports(fault{Status: 500, Times: 1})
	report(byKey, 4)
	var parked string
	eventually(t, 10*time.Second, "it is parked", func() bool {
		parked = mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/parked", nil).body
		return strings.Contains(parked, `"app_id":"appuk"`)
	})
	b.heal()
	id := read[struct{ Parked []struct{ ID string } }](t, answer{body: parked}).Parked[0].ID
	mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/parked/"+id+"/bury", nil)
	var letters string
	eventually(t, 10*time.Second, "it is a dead letter", func() bool {
		letters = mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/deadletters", nil).body
		return strings.Contains(letters, `"app_id":"appuk"`)
	})
	assert.Equal(t, []string{fmt.Sprintf("appuk %d %d 4", wanted+4, wanted)}, d.ledgerOf1002())
	for _, body := range []string{applications, top, parked, letters, strings.Join(lines, ""), strings.Join(d.logged(), "")} {
		assert.NotContains(t, body, "ukey1")
	}
	d.kill()
}

// TestOneLimitByTokenAndByKeyAlone: a service that is configured by its token is called by its token, and with its provider's key alone,
// which means the provider's default service: that one. A limit of 100 grants exactly 100, also to calls at once and across a kill.
// Nothing is reported meanwhile: what is delivered while 3scale's counter is read for the first time may be in it, and weighs twice.
func TestOneLimitByTokenAndByKeyAlone(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	b.limited("counted", limit{"hits", "eternity", 100})
	config := newSettings(t, b.url).set("batch.flush_interval", "10m").write(t)
	d := launch(t, config)
	d.ready()
	var granted atomic.Int64
	use := func(calls int) {
		var all sync.WaitGroup
		for _, name := range namesOf1001[:2] {
			for range 4 {
				all.Go(func() {
					for range calls / 8 {
						if d.authrepAs(name, "counted") == http.StatusOK {
							granted.Add(1)
						}
					}
				})
			}
		}
		all.Wait()
	}
	use(64)
	assert.EqualValues(t, 64, granted.Load())
	d.kill()
	d = launch(t, config)
	d.ready()
	use(320)
	assert.EqualValues(t, 100, granted.Load())
	d.drained(10 * time.Second)
	assert.EqualValues(t, 100, b.usage()["1001"]["counted"]["hits"])
	for _, l := range d.status().Lanes {
		assert.Equal(t, "1001", l.ServiceID)
	}
	d.kill()
}
