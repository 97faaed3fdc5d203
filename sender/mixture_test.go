package sender

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// isGood says which applications and metrics of a mixture exist.
var isGood = map[string]bool{"app1": true, "app2": true, "app3": true, "app4": true, "hits": true, "search": true}

// mixture makes transactions of good and bad applications and metrics at random.
func mixture(rng *rand.Rand) (all []spool.Transaction) {
	bad := rng.IntN(4) // a batch with many bad ones, or with few
	for range 1 + rng.IntN(8) {
		app := fmt.Sprintf("app%d", 1+rng.IntN(4))
		if rng.IntN(12) < bad {
			app = fmt.Sprintf("ghost%d", rng.IntN(2))
		}
		var usage threescale.Usage
		for _, metric := range []string{"hits", "nosuch", "search", "nosuch too"} {
			if isGood[metric] && rng.IntN(3) > 0 || !isGood[metric] && rng.IntN(6) < bad {
				usage = append(usage, threescale.Increment{Metric: metric, Value: 1 + rng.Uint64N(5)})
			}
		}
		if len(usage) == 0 {
			usage = threescale.Usage{{Metric: "hits", Value: 1}}
		}
		rng.Shuffle(len(usage), func(i, j int) { usage[i], usage[j] = usage[j], usage[i] })
		all = append(all, sum(app, 1+rng.Uint32N(6), usage))
	}
	return all
}

// TestMixtures seals batches of which some transactions have bad parts, while calls fail now and then.
// The backend drops none of them, and everything accepted is counted there or a dead letter; and dead
// is only what is bad, or was a single event with something bad.
func TestMixtures(t *testing.T) {
	histories := uint64(60)
	if testing.Short() {
		histories = 15
	}
	for seed := range histories {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inCity(t, sandbox.Options{NegativeCache: minute}, Options{}, proof.Options{}, 200, func(c *city) {
				c.create(apps(5)...)
				calls := 0
				c.behave(func(bool) reply {
					if calls++; calls%7 == 6 {
						return reply{status: http.StatusServiceUnavailable}
					}
					return reply{}
				})
				rng, sealed := rand.New(rand.NewPCG(seed, 0)), map[[2]string]uint64{}
				for round := range 30 {
					if round == 15 {
						c.create("ghost0") // from now on it exists, though not every process of the backend knows that at once
					}
					all := mixture(rng)
					for _, t := range all {
						for _, u := range t.Usage {
							sealed[[2]string{t.Application.ID, u.Metric}] += u.Value
						}
					}
					c.sealSums(all...)
					c.wait(time.Duration(rng.IntN(40)) * time.Second)
				}
				for range 60 {
					if c.spool.Counts().Pending > 0 {
						c.wait(10 * time.Second)
					}
				}
				assert.Zero(t, c.spool.Counts().Pending)
				assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
				c.haveAnEnd(sealed)
			})
		})
	}
}

// haveAnEnd compares what was sealed with what was counted and what is dead. Searches count as hits, too.
func (c *city) haveAnEnd(sealed map[[2]string]uint64) {
	ended := map[[2]string]uint64{}
	for app, metrics := range c.sandbox.Usage()["1001"] {
		for metric, n := range metrics {
			ended[[2]string{app, metric}] += n
		}
		ended[[2]string{app, "hits"}] -= metrics["search"]
	}
	for _, d := range c.dead() {
		bad := !isGood[d.AppID]
		for metric, n := range d.Usage {
			ended[[2]string{d.AppID, metric}] += n
			bad = bad || !isGood[metric]
		}
		assert.True(c.t, bad, "%+v", d)
		if isGood[d.AppID] && len(d.Usage) > 1 {
			assert.LessOrEqual(c.t, d.Events, uint64(len(d.Usage)), "it could have been divided: %+v", d)
		}
	}
	for k, n := range ended {
		if n == 0 {
			delete(ended, k)
		}
	}
	assert.Equal(c.t, sealed, ended)
}
