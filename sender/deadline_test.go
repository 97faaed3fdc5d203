package sender

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestALateWorkerHarmsOnlyWhatIsOld: the backend's worker is 17 minutes behind, and one event of 23 h 43 min was
// accepted together with fresh ones.
func TestALateWorkerHarmsOnlyWhatIsOld(t *testing.T) {
	inCity(t, sandbox.Options{WorkerDelay: 17*minute + time.Second}, Options{}, proof.Options{}, 200, func(c *city) {
		names := apps(20)
		c.proven(names...)
		all := []spool.Transaction{at("app0", -23*time.Hour-43*minute)}
		for _, name := range names {
			all = append(all, at(name, 0))
		}
		c.sealAll("1001", all...)
		c.wait(time.Second)
		require.NoError(t, c.sandbox.Settle(c.t.Context()))
		assert.EqualValues(t, 1, c.sandbox.Calls().DiscardedBatches, "the old one's own")
		assert.EqualValues(t, 20+20, c.hits("1001"))
		assert.EqualValues(t, 3, c.sandbox.Calls().Report)
	})
}

// TestUsageIsSentUntilItsMargin: at each age at which it may be accepted, usage is delivered; the margin is a minute.
func TestUsageIsSentUntilItsMargin(t *testing.T) {
	for age, delivered := range map[time.Duration]bool{
		23*time.Hour + 44*minute: true, 23*time.Hour + 46*minute: true, 23*time.Hour + 58*minute: true,
		24*time.Hour - 61*time.Second: true, 24*time.Hour - 58*time.Second: false, 25 * time.Hour: false,
	} {
		t.Run(age.String(), func(t *testing.T) {
			inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
				c.proven("app0")
				c.sealAll("1001", at("app0", -age))
				c.wait(10 * time.Second)
				assert.Equal(t, delivered, c.spool.Counts().Delivered == 2)
				assert.Equal(t, delivered, c.hits("1001") == 2)
				assert.Equal(t, !delivered, c.spool.Counts().Dead == 1)
			})
		})
	}
}

// TestALetterSaysWhyUsageExpired: how old it was, and what kept it.
func TestALetterSaysWhyUsageExpired(t *testing.T) {
	old := 23 * time.Hour
	for name, test := range map[string]struct {
		age    time.Duration
		answer reply
		want   string
	}{
		"accepted too late": {25 * time.Hour, reply{}, "it was 25h0m0s old already when it was"},
		"service in trouble": {old, refuse(403, "service_token_invalid", `service token "t1" or service id "1" is invalid`),
			"reports of its service have failed since 2000-01-01T00:00:00Z (service_token_invalid)"},
		"backend away": {old, reply{status: 503}, "reports of its service have failed since 2000-01-01T00:00:00Z (unavailable)"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w *world) {
				w.backend.behave(func(call) reply { return test.answer })
				w.sealAll("1", at("a", -test.age))
				w.wait(2 * time.Hour)
				letters := w.dead()
				require.Len(t, letters, 1)
				assert.Equal(t, "expired", letters[0].Reason.Code)
				assert.Contains(t, letters[0].Reason.Message, test.want)
				assert.Contains(t, letters[0].Reason.Message, "3scale takes usage of the last 24h0m0s, and the last 1m0s of that")
			})
		})
	}
}

// TestGroupsByDeadline: every transaction is in one group; in none is something near its end beside what has more than
// twice as long; there are few groups.
func TestGroupsByDeadline(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		began := time.Unix(1_800_000_000, 0)
		d := &delivery{batch: &spool.Batch{}, began: began}
		for i := range 1 + r.IntN(60) {
			left := time.Duration(r.Int64N(int64([]time.Duration{time.Minute, time.Hour, 24 * time.Hour}[r.IntN(3)])))
			d.batch.Transactions = append(d.batch.Transactions, hit(fmt.Sprint(i), began.Add(left-24*time.Hour)))
			d.fresh = append(d.fresh, i)
		}
		groups := d.byDeadline()
		assert.LessOrEqual(t, len(groups), 7)
		var all []int
		for _, g := range groups {
			assert.True(t, slices.IsSorted(g))
			least, most := 24*time.Hour, time.Duration(0)
			for _, i := range g {
				least, most = min(least, d.left(i)), max(most, d.left(i))
			}
			assert.True(t, least >= nearEnd || most <= 2*least, "%v to %v", least, most)
			all = append(all, g...)
		}
		slices.Sort(all)
		assert.Equal(t, d.fresh, all)
	}
}
