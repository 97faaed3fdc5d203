package authorize

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

func questionOf(app string, hits uint64) *Question {
	return &Question{ServiceID: "1001", Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: "hits", Value: hits}}}
}

// TestAskDecidesAsAuthrep: the same counters as every other call, the tightest limit of the question's metrics, and a yes in the
// journal.
func TestAskDecidesAsAuthrep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("asked", sandbox.Limit{Metric: "hits", Period: "minute", Max: 3}, sandbox.Limit{Metric: "transfer", Period: "minute", Max: 1})
		a := w.Ask(t.Context(), questionOf("asked", 2))
		assert.Equal(t, Answer{Limit: Limit{Max: 3, Remaining: 0, Reset: time.Minute}}, a)
		a = w.Ask(t.Context(), questionOf("asked", 2))
		assert.Equal(t, threescale.CodeLimitsExceeded, a.Code)
		assert.False(t, a.Unknown)
		assert.Len(t, w.journal.take(), 1)
		a = w.Ask(t.Context(), questionOf("nosuch", 1))
		assert.Equal(t, threescale.CodeApplicationNotFound, a.Code)
		assert.False(t, a.Unknown)
		q := questionOf("asked", 1)
		q.Usage[0].Metric = "nosuch"
		assert.True(t, w.Ask(t.Context(), q).Unknown, "a rule names a metric that 3scale does not have")
		q.ServiceID = "9999"
		assert.True(t, w.Ask(t.Context(), q).Unknown)
	})
}

// TestAskTwiceCountsOnce: a question with the id of an earlier one is answered and counts nothing, in the limits neither.
func TestAskTwiceCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("twice", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 3})
		q := questionOf("twice", 1)
		q.EventID = "gate:1001:a"
		for range 5 {
			assert.Empty(t, w.Ask(t.Context(), q).Code)
		}
		q.EventID = ""
		for range 2 {
			assert.Empty(t, w.Ask(t.Context(), q).Code)
		}
		assert.Equal(t, threescale.CodeLimitsExceeded, w.Ask(t.Context(), q).Code)
		assert.Len(t, w.journal.take(), 3)
	})
}

// TestAskWaits: a backend that does not answer in time leaves the decision to the mode; what is remembered lets the call pass.
func TestAskWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("waits", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		q := questionOf("waits", 1)
		q.Wait = 150 * time.Millisecond
		assert.Empty(t, w.Ask(t.Context(), q).Code)
		w.backend.set(false, time.Hour)
		pass(DefaultTTL + time.Second)
		begun := time.Now()
		assert.Empty(t, w.Ask(t.Context(), q).Code, "it is remembered")
		assert.Equal(t, q.Wait, time.Since(begun))
		q.Application.ID = "never seen"
		begun = time.Now()
		a := w.Ask(t.Context(), q)
		assert.True(t, a.Unknown)
		assert.LessOrEqual(t, time.Since(begun), q.Wait)
		assert.Len(t, w.journal.take(), 2)
		pass(10 * time.Second) // the questions end
	})
}
