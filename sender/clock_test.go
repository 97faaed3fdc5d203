package sender

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// skewed runs a test against a backend whose clock is wrong, sends no Date, and shows its clock in limits of a period.
func skewed(t *testing.T, shift time.Duration, period string, o Options, test func(*city)) {
	inCity(t, sandbox.Options{NegativeCache: minute}, o, proof.Options{}, 200, func(c *city) {
		c.setClock(shift)
		for _, name := range apps(5) {
			require.NoError(t, c.sandbox.PutApplications(sandbox.ApplicationChange{
				ServiceID: "1001", AppID: name, Limits: &[]sandbox.Limit{{Metric: "hits", Period: period, Max: 1 << 40}},
			}))
		}
		test(c)
		require.NoError(t, c.sandbox.Settle(t.Context()))
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches, "nothing was sent that the backend drops")
		assert.Equal(t, c.spool.Counts().Delivered, c.hits("1001"))
	})
}

func (c *city) setClock(shift time.Duration) {
	c.t.Helper()
	require.NoError(c.t, c.sandbox.SetFaults(sandbox.Faults{Backend: &sandbox.Backend{Clock: sandbox.Duration(shift)}}))
}

// sealAged accepts a hit of each of five applications at each age, in one batch.
func (c *city) sealAged(ages ...time.Duration) {
	var all []spool.Transaction
	for _, age := range ages {
		for _, a := range apps(5) {
			all = append(all, hit(a, time.Now().Add(-age)))
		}
	}
	c.sealAll("1001", all...)
}

// TestTheBackendsClockIsWrong: what the backend would drop by its clock waits, is said, and is never in a report with other
// usage; the rest is delivered; and once the clock is right, all is.
func TestTheBackendsClockIsWrong(t *testing.T) {
	for shift, delivered := range map[time.Duration]uint64{
		2 * time.Hour:   10, // what is 23 h old waits
		-2 * time.Hour:  10, // what is of now waits
		-25 * time.Hour: 0,  // all waits
	} {
		for _, period := range []string{"minute", "hour"} {
			t.Run(fmt.Sprint(shift, " ", period), func(t *testing.T) {
				t.Parallel()
				skewed(t, shift, period, Options{}, func(c *city) {
					c.wait(time.Until(time.Now().Truncate(time.Hour).Add(time.Hour + 30*time.Second))) // bounds of an hour are closest there
					c.sealAged(0, 3*time.Hour, 23*time.Hour)
					c.wait(2 * time.Minute)
					assert.EqualValues(t, delivered, c.spool.Counts().Delivered)
					s := c.sender.Stats()
					assert.NotZero(t, s.ClockWaiting)
					assert.True(t, s.Clock.Own)
					assert.InDelta(t, shift, s.Clock.Ahead(), float64(time.Hour))
					assert.Len(t, c.log.FilterMessageSnippet("by its clock").All(), 1, "it is said once")
					c.setClock(0)
					c.wait(time.Minute)
					assert.EqualValues(t, 15, c.spool.Counts().Delivered)
					assert.Zero(t, c.sender.Stats().ClockWaiting)
					assert.Len(t, c.log.FilterMessageSnippet("no usage waits for 3scale's clock").All(), 1)
				})
			})
		}
	}
}

// TestTheClockStaysWrong: usage that waits goes once it fits, or becomes a dead letter that names the clock.
func TestTheClockStaysWrong(t *testing.T) {
	t.Run("behind", func(t *testing.T) {
		skewed(t, -2*time.Hour, "minute", Options{}, func(c *city) {
			for range 12 {
				c.sealAged(0)
				c.wait(10 * time.Minute)
			}
			assert.EqualValues(t, 5*6, c.spool.Counts().Delivered+c.spool.Counts().Dead, "an hour later")
			c.wait(2 * time.Hour)
			assert.EqualValues(t, 5*12, c.spool.Counts().Delivered)
		})
	})
	t.Run("behind by more than a day", func(t *testing.T) {
		skewed(t, -25*time.Hour, "minute", Options{}, func(c *city) {
			c.sealAged(0)
			c.wait(25 * time.Hour)
			assert.EqualValues(t, 5, c.spool.Counts().Delivered, "it is old by our clock, and not by the backend's")
		})
	})
	t.Run("ahead", func(t *testing.T) {
		skewed(t, 2*time.Hour, "minute", Options{}, func(c *city) {
			c.sealAged(23 * time.Hour)
			c.wait(2 * time.Hour)
			dead := c.dead()
			require.Len(t, dead, 5)
			assert.Contains(t, dead[0].Reason.Message, "it waited for 3scale's clock, which is ahead of this one by")
		})
	})
	t.Run("restamped", func(t *testing.T) {
		skewed(t, -2*time.Hour, "minute", Options{Restamp: true}, func(c *city) {
			c.sealAged(30 * time.Hour)
			c.wait(time.Minute)
			assert.EqualValues(t, 5, c.spool.Counts().Delivered)
		})
	})
}

// TestTheClockIsAskedForFirst: applications are proven from before the start, so that no question would be asked; one is
// before the first report, and no more.
func TestTheClockIsAskedForFirst(t *testing.T) {
	skewed(t, -2*time.Hour, "minute", Options{}, func(c *city) {
		for _, a := range apps(5) {
			c.proofs.Prove(proof.Scope{ServiceID: "1001", Credentials: c.credentialsOf("1001")}, hit(a, time.Now()).Application, []string{"hits"}, time.Now())
		}
		assert.False(t, c.sender.Stats().Clock.Known)
		for range 4 {
			c.sealAged(0)
		}
		c.wait(time.Second)
		assert.Zero(t, c.sandbox.Calls().Report)
		assert.Equal(t, 1, c.asked())
		assert.True(t, c.sender.Stats().Clock.Known)
	})
}

func (c *city) credentialsOf(service string) (found threescale.Credentials) {
	found, _ = c.credentials(service)
	return found
}

// TestARefusedTimestamp: a backend that refuses a report for a timestamp shows its clock; the usage waits.
func TestARefusedTimestamp(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply {
			return refuse(403, "transaction_timestamp_too_new", "reporting transactions more than 3600 seconds in the future is not allowed")
		})
		w.seal("1", apps(4)...)
		w.wait(time.Minute)
		assert.EqualValues(t, 4, w.spool.Counts().Pending)
		assert.Less(t, w.sender.Stats().Clock.Ahead(), -59*time.Minute)
		assert.NotZero(t, w.sender.Stats().ClockWaiting)
		assert.LessOrEqual(t, len(w.backend.seen()), 10)
	})
}

// TestTheClocksCallIsADenial: the call before the first report is about an application that was deleted while the daemon was
// down. Its proof ends, and its neighbours are counted.
func TestTheClocksCallIsADenial(t *testing.T) {
	skewed(t, 0, "minute", Options{}, func(c *city) {
		for _, a := range apps(5) {
			c.proofs.Prove(proof.Scope{ServiceID: "1001", Credentials: c.credentialsOf("1001")}, id(a), []string{"hits"}, time.Now())
		}
		c.remove("app0")
		c.sealAged(0)
		c.wait(3 * time.Minute)
		assert.EqualValues(t, 4, c.spool.Counts().Delivered)
		assert.EqualValues(t, 1, c.spool.Counts().Dead)
	})
}
