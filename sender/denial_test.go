package sender

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// remove deletes an application of service 1001 at the backend.
func (c *city) remove(name string) {
	c.t.Helper()
	require.NoError(c.t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: name, State: "deleted"}))
}

// proven delivers one hit of each application, after which all of them are proven.
func (c *city) proven(names ...string) {
	c.t.Helper()
	c.create(names...)
	c.seal("1001", names...)
	c.wait(time.Second)
	require.EqualValues(c.t, len(names), c.spool.Counts().Delivered)
}

// TestADenialToAClientRevokesTheProof: an application is deleted, a client is told so, and then usage of it is
// delivered that was accepted before. Its neighbours are counted.
func TestADenialToAClientRevokesTheProof(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		names := append(apps(10), "gone")
		c.proven(names...)
		c.remove("gone")
		text := threescale.ApplicationNotFound("gone")
		c.proofs.Deny(proof.Scope{ServiceID: "1001"}, id("gone"), "", proof.Refusal{Status: text.Status, Code: text.Code, Text: text.Text}, time.Now())
		c.seal("1001", names...)
		c.wait(time.Second)
		assert.EqualValues(t, 10+11, c.spool.Counts().Delivered, "the neighbours do not wait")
		c.wait(3 * time.Minute)
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
		assert.EqualValues(t, 10, c.hits("1001")-11)
		assert.EqualValues(t, 1, c.spool.Counts().Dead)
	})
}

// TestARefusalOfAReportRevokesTheProof: a report is refused and the refusal names an application, a metric or some
// user key. The parts of the report are not sent with it again.
func TestARefusalOfAReportRevokesTheProof(t *testing.T) {
	for name, test := range map[string]struct {
		text *threescale.Error
		bad  spool.Transaction
	}{
		"application": {threescale.ApplicationNotFound("gone"), hit("gone", time.Time{})},
		"metric":      {threescale.MetricInvalid("nosuch"), of(id("app3"), "nosuch")},
	} {
		t.Run(name, func(t *testing.T) {
			inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
				names := append(apps(10), "gone")
				c.proven(names...)
				c.remove("gone")
				c.proofs.Prove(proof.Scope{ServiceID: "1001"}, id("app3"), []string{"nosuch"}, time.Now())
				refused := false
				c.behave(func(report bool) reply {
					if !report || refused {
						return reply{}
					}
					refused = true
					return refuse(test.text.Status, test.text.Code, test.text.Text)
				})
				var all []spool.Transaction
				for _, name := range apps(10) {
					all = append(all, hit(name, time.Now()))
				}
				test.bad.Timestamp = time.Now().Unix()
				c.sealAll("1001", append(all, test.bad)...)
				c.wait(3 * time.Minute)
				assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
				assert.EqualValues(t, 10, c.hits("1001")-11)
				assert.EqualValues(t, 1, c.spool.Counts().Dead)
			})
		})
	}
}

// TestARefusalThatHidesTheKeyHasAllOfThemAskedAgain: which user key is invalid is not kept of the refusal.
func TestARefusalThatHidesTheKeyHasAllOfThemAskedAgain(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		scope := proof.Scope{ServiceID: "1002"}
		for _, k := range []string{"ukey1", "gone"} {
			c.proofs.Prove(scope, key(k), []string{"hits"}, time.Now())
		}
		refused := false
		c.behave(func(report bool) reply {
			if !report || refused {
				return reply{}
			}
			refused = true
			text := threescale.UserKeyInvalid("gone")
			return refuse(http.StatusForbidden, text.Code, text.Text)
		})
		c.sealAll("1002", of(key("ukey1"), "hits"), of(key("ukey1"), "hits"), of(key("gone"), "hits"))
		c.wait(3 * time.Minute)
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
		assert.EqualValues(t, 2, c.hits("1002"))
		assert.EqualValues(t, 1, c.spool.Counts().Dead)
	})
}
