package sender

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// minute is the backend's negative cache.
const minute = time.Minute

func of(app threescale.Application, metric string) spool.Transaction {
	return spool.Transaction{Transaction: threescale.Transaction{
		Application: app, Usage: threescale.Usage{{Metric: metric, Value: 1}}, Timestamp: time.Now().Unix(),
	}, Events: 1}
}

func id(name string) threescale.Application  { return threescale.Application{ID: name} }
func key(name string) threescale.Application { return threescale.Application{UserKey: name} }

// TestPoisonHarmsNobody mixes 10,000 good events of 300 applications with 500 of applications and 200 of
// metrics that do not exist.
func TestPoisonHarmsNobody(t *testing.T) {
	inCity(t, sandbox.Options{NegativeCache: minute}, Options{}, proof.Options{}, 200, func(c *city) {
		c.create(apps(300)...)
		var events []spool.Transaction
		for i := range 10_000 {
			events = append(events, of(id(fmt.Sprintf("app%d", i%300)), "hits"))
		}
		for i := range 500 {
			events = append(events, of(id(fmt.Sprintf("ghost%d", i%40)), "hits"))
		}
		for i := range 200 {
			events = append(events, of(id(fmt.Sprintf("app%d", i)), fmt.Sprintf("nosuch%d", i%5)))
		}
		rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		began := time.Now()
		for len(events) > 0 {
			n := min(1000, len(events))
			c.sealAll("1001", events[:n]...)
			events = events[n:]
		}
		for c.spool.Counts().Delivered < 10_000 && time.Since(began) < 5*time.Minute {
			c.wait(100 * time.Millisecond)
		}
		good := time.Since(began)
		for c.spool.Counts().Pending > 0 && time.Since(began) < 5*time.Minute {
			c.wait(time.Second)
		}
		calls := c.sandbox.Calls()
		t.Logf("10,000 good events delivered after %v, 700 bad ones dead after %v; %d reports, %d questions",
			good, time.Since(began), calls.Report, c.asked())
		assert.EqualValues(t, 10_000, c.spool.Counts().Delivered)
		assert.EqualValues(t, 700, c.spool.Counts().Dead)
		assert.EqualValues(t, 10_000, c.hits("1001"))
		assert.Zero(t, calls.DiscardedBatches)
		reasons := map[string]int{}
		for _, d := range c.dead() {
			reasons[d.Reason.Code]++
			assert.Equal(t, 404, d.Answer.Status)
			if d.Reason.Code == "application_not_found" {
				assert.Equal(t, fmt.Sprintf("application with id=%q was not found", d.AppID), d.Reason.Message)
			}
		}
		assert.Equal(t, map[string]int{"application_not_found": 500, "metric_invalid": 200}, reasons)
		assert.Less(t, good, 15*time.Second)
		assert.Less(t, c.asked(), 300+6*45, "what is denied is asked for again while it waits, and nothing for each event")
	})
}

// TestNewApplication: it is created after its first events, while listener and worker remember that it
// does not exist.
func TestNewApplication(t *testing.T) {
	for _, created := range []time.Duration{time.Second, 30 * time.Second, 55 * time.Second, 90 * time.Second} {
		t.Run(created.String(), func(t *testing.T) {
			inCity(t, sandbox.Options{NegativeCache: minute}, Options{}, proof.Options{}, 50, func(c *city) {
				// What was there more than a minute before the application is unknown for longer than that; what
				// comes after that may be, as long as it is remembered.
				began, sealed, early := time.Now(), uint64(0), uint64(0)
				for range 60 {
					c.sealAll("1001", of(id("app2"), "hits"), of(id("new"), "hits"))
					sealed++
					if time.Since(began) < created-30*time.Second && created > minute {
						early++
					}
					c.wait(5 * time.Second)
					if at := time.Since(began); at >= created && at < created+5*time.Second {
						c.create("new")
					}
				}
				c.wait(3 * time.Minute)
				counted := c.sandbox.Usage()["1001"]["new"]["hits"]
				t.Logf("created %v after its first event: %d of %d events counted, %d dead, %d questions",
					created, counted, sealed, c.spool.Counts().Dead, c.asked())
				assert.Equal(t, sealed, c.sandbox.Usage()["1001"]["app2"]["hits"], "nobody else's is lost")
				assert.GreaterOrEqual(t, counted, sealed-early)
				assert.Equal(t, sealed-counted, c.spool.Counts().Dead)
				assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
				assert.Zero(t, c.spool.Counts().Pending)
			})
		})
	}
}

// TestEveryWayToNameAnApplication: by id with and without keys it must have, by user key, with OAuth,
// suspended, in a suspended service, behind a referrer filter, above its limits; with a provider key; and
// an unknown metric is found behind every denial.
func TestEveryWayToNameAnApplication(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		for service, apps := range map[string][]threescale.Application{
			"1001": {id("app1"), id("app2"), id("appsusp"), id("applim")}, "1002": {key("ukey1")},
			"1003": {id("appoauth")}, "1004": {id("appref")}, "1005": {id("app1")},
		} {
			var all []spool.Transaction
			for _, a := range apps {
				for range 30 { // above the limit of applim
					all = append(all, of(a, "hits"))
				}
				all = append(all, of(a, "nosuch"))
			}
			c.sealAll(service, all...)
			c.wait(time.Second)
			assert.EqualValues(t, 30*len(apps), c.hits(service), service)
			c.sealAll(service, all...)
		}
		c.wait(3 * time.Minute)
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
		assert.EqualValues(t, 2*30*8, c.spool.Counts().Delivered)
		assert.EqualValues(t, 2*8, c.spool.Counts().Dead)
		for _, d := range c.dead() {
			assert.Equal(t, spool.Reason{Code: "metric_invalid", Message: `metric "nosuch" is invalid`}, d.Reason)
		}
	})
}

// TestWhatCannotBeAskedForTravelsAlone: reports take both names on every service, authorizations do not.
func TestWhatCannotBeAskedForTravelsAlone(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		c.sealAll("1002", of(key("ukey1"), "hits"), of(id("appuk"), "hits"), of(id("ghost"), "hits"), of(id("appuk"), "hits"))
		c.wait(time.Second)
		assert.EqualValues(t, 3, c.hits("1002"))
		assert.EqualValues(t, 3, c.sandbox.Calls().Report)
		assert.EqualValues(t, 1, c.sandbox.Calls().DiscardedBatches, "the ghost's own")
		assert.EqualValues(t, 2, c.sender.Stats().Alone)
	})
}

// TestQuestionsThatAreNotAnswered: reports go on, one application at a time, and together again later.
func TestQuestionsThatAreNotAnswered(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		c.create(apps(40)...)
		c.sealAll("1001", of(id("app2"), "hits"))
		c.wait(time.Second)
		c.behave(func(report bool) reply {
			if report {
				return reply{}
			}
			return reply{delay: time.Hour}
		})
		var all []spool.Transaction
		for _, a := range apps(40) {
			all = append(all, of(id(a), "hits"), of(id(a), "search"))
		}
		c.sealAll("1001", all...)
		c.wait(5 * time.Second)
		assert.EqualValues(t, 1, c.spool.Counts().Delivered)
		c.sealAll("1001", of(id("app2"), "hits"))
		c.wait(time.Second)
		assert.EqualValues(t, 2, c.spool.Counts().Delivered, "what is proven does not wait")
		c.wait(minute)
		assert.EqualValues(t, 82, c.spool.Counts().Delivered)
		assert.EqualValues(t, 40, c.sender.Stats().Alone)
		assert.Equal(t, 1, c.log.FilterMessageSnippet("cannot ask 3scale which applications exist").Len(), "said once")
		c.behave(nil)
		c.sealAll("1001", all...)
		c.wait(2 * minute)
		assert.EqualValues(t, 162, c.spool.Counts().Delivered)
		assert.EqualValues(t, 40, c.sender.Stats().Alone)
		assert.Equal(t, 1, c.log.FilterMessage("questions are answered again").Len())
	})
}

// TestQuestionsThatFailNowAndThen: two failures far apart do not mean that the backend is away, also where the first
// question was not needed any more.
func TestQuestionsThatFailNowAndThen(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		failOnce := func() {
			failed := false
			c.behave(func(report bool) reply {
				if report || failed {
					return reply{}
				}
				failed = true
				return reply{status: http.StatusServiceUnavailable}
			})
		}
		c.sealSums(sum("app2", 1, threescale.Usage{{Metric: "nosuch", Value: 1}, {Metric: "nosuch too", Value: 1}}))
		c.wait(minute) // both are denied, and will be asked about again; the answer to one of them is enough
		failOnce()
		c.wait(minute)
		require.EqualValues(t, 1, c.spool.Counts().Dead)
		failOnce()
		c.sealSums(sum("app2", 1, threescale.Usage{{Metric: "another", Value: 1}}))
		c.wait(3 * minute)
		assert.EqualValues(t, 2, c.spool.Counts().Dead)
		assert.Zero(t, c.sender.Stats().Alone)
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
	})
}

// TestRefusedTokenShowsInTheFirstQuestion: the lane is held as if a report had been refused.
func TestRefusedTokenShowsInTheFirstQuestion(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
		c.create(apps(500)...)
		c.configure("1001", "wrong")
		var all []spool.Transaction
		for _, a := range apps(500) {
			all = append(all, of(id(a), "hits"))
		}
		for range 5 {
			c.sealAll("1001", all...)
		}
		c.wait(10 * minute)
		l := c.lane("1001")
		assert.Equal(t, Held, l.State)
		assert.Equal(t, "service_token_invalid", l.LastError)
		assert.Zero(t, c.sandbox.Calls().Report)
		t.Logf("%d questions in ten minutes", c.asked())
		assert.Less(t, c.asked(), 100)
		c.configure("1001", "stoken1001")
		c.sender.Kick("1001")
		c.wait(10 * time.Second)
		assert.EqualValues(t, 2500, c.spool.Counts().Delivered)
		require.Equal(t, Flowing, c.lane("1001").State)
	})
}

// sealSums seals one batch of transactions as the batcher would have made them: of several events each.
func (c *city) sealSums(sums ...spool.Transaction) {
	n := 0
	for i := range sums {
		n += int(sums[i].Events)
	}
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: "1001", Transaction: sums[0].Transaction}
	}
	_, err := c.spool.Append(c.t.Context(), events)
	require.NoError(c.t, err)
	cut, err := c.spool.BeginCut(spool.Position(c.spool.Counts().Accepted))
	require.NoError(c.t, err)
	require.NoError(c.t, cut.Add(&spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}, Transactions: sums}))
	require.NoError(c.t, cut.Commit(0))
}

// sum is a transaction of several events.
func sum(app string, events uint32, usage threescale.Usage) spool.Transaction {
	t := hit(app, time.Now())
	t.Events, t.Usage = events, usage
	return t
}

// TestABadMetricDoesNotTakeTheGoodOnesWithIt: they were summed into one transaction.
func TestABadMetricDoesNotTakeTheGoodOnesWithIt(t *testing.T) {
	inCity(t, sandbox.Options{NegativeCache: minute}, Options{}, proof.Options{}, 200, func(c *city) {
		usage := threescale.Usage{{Metric: "hits", Value: 35}, {Metric: "nosuch", Value: 2}, {Metric: "search", Value: 5}, {Metric: "nosuch too", Value: 3}}
		c.sealSums(sum("app2", 40, usage), sum("app1", 1, usage))
		c.wait(15 * time.Second)
		assert.EqualValues(t, 35, c.spool.Counts().Delivered, "the good part does not wait for the bad one")
		c.wait(3 * minute)
		n := c.spool.Counts()
		assert.Equal(t, []uint64{35, 6, 0}, []uint64{n.Delivered, n.Dead, n.Pending})
		assert.Equal(t, map[string]map[string]uint64{"app2": {"hits": 40, "search": 5}}, c.sandbox.Usage()["1001"])
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
		assert.Equal(t, map[string]uint64{"nosuch": 2, "nosuch too": 3}, c.buried("app2"))
	})
}

// buried is how many events of an application each metric alone took with it.
func (c *city) buried(app string) map[string]uint64 {
	events := map[string]uint64{}
	for _, d := range c.dead() {
		if d.AppID != app {
			continue
		}
		assert.Len(c.t, d.Usage, 1)
		assert.Contains(c.t, d.Usage, strings.TrimSuffix(strings.TrimPrefix(d.Reason.Message, `metric "`), `" is invalid`))
		for metric := range d.Usage {
			events[metric] = d.Events
		}
	}
	return events
}

// TestABadMetricInEveryTransaction: each of them is divided, and none is left to go to the dead whole.
func TestABadMetricInEveryTransaction(t *testing.T) {
	for name, sums := range map[string]func() []spool.Transaction{
		"of one": func() []spool.Transaction {
			return []spool.Transaction{sum("app2", 3, threescale.Usage{{Metric: "hits", Value: 2}, {Metric: "nosuch", Value: 1}})}
		},
		"of two": func() []spool.Transaction {
			return []spool.Transaction{
				sum("app2", 3, threescale.Usage{{Metric: "hits", Value: 2}, {Metric: "nosuch", Value: 1}}),
				sum("app3", 4, threescale.Usage{{Metric: "nosuch too", Value: 1}, {Metric: "hits", Value: 3}}),
			}
		},
		"beside good ones": func() []spool.Transaction {
			return []spool.Transaction{
				sum("app2", 3, threescale.Usage{{Metric: "hits", Value: 2}, {Metric: "nosuch", Value: 1}}),
				sum("app3", 3, threescale.Usage{{Metric: "hits", Value: 3}}),
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inCity(t, sandbox.Options{NegativeCache: minute}, Options{}, proof.Options{}, 200, func(c *city) {
				c.create(apps(4)...)
				for range 2 { // the second time it is known what is proven, and what was denied
					c.sealSums(sums()...)
					c.wait(3 * minute)
				}
				bad, good := uint64(0), map[string]map[string]uint64{}
				for _, t := range sums() {
					for _, u := range t.Usage {
						if u.Metric == "hits" {
							good[t.Application.ID] = map[string]uint64{"hits": 2 * u.Value}
						} else {
							bad += 2 * u.Value
						}
					}
				}
				n := c.spool.Counts()
				assert.Equal(t, []uint64{n.Accepted - bad, bad, 0}, []uint64{n.Delivered, n.Dead, n.Pending})
				assert.Equal(t, good, c.sandbox.Usage()["1001"])
				assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
			})
		})
	}
}
