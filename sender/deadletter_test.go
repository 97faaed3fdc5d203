package sender

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
)

func TestReportAboveALowerCapIsSplit(t *testing.T) {
	for name, answer := range map[string]reply{
		"backend": refuse(400, "bad_request", "total number of query parameters (3002) exceeds limit (1000)"),
		"proxy":   {status: http.StatusRequestEntityTooLarge, body: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w *world) {
				w.backend.behave(func(c call) reply {
					if len(c.apps) > 300 {
						return answer
					}
					return reply{}
				})
				w.seal("1", apps(1000)...)
				w.wait(time.Second)
				c := w.spool.Counts()
				assert.EqualValues(t, 1000, c.Delivered)
				assert.Zero(t, c.Dead)
				assert.EqualValues(t, 1000, w.backend.hits())
				first := len(w.backend.seen())
				assert.LessOrEqual(t, first, 1+2+4)
				assert.Equal(t, Flowing, w.lane("1").State)

				w.seal("1", apps(1000)...)
				w.wait(time.Second)
				assert.EqualValues(t, 2000, w.backend.hits())
				assert.LessOrEqual(t, len(w.backend.seen())-first, 5, "the cap is remembered: nothing is refused again")
			})
		})
	}
}

func TestGuiltyTransactionsAreFoundAndTheRestIsDelivered(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(c call) reply {
			if slices.Contains(c.apps, "app17") || slices.Contains(c.apps, "app901") {
				return refuse(422, "not_valid_data", "all data must be valid UTF8")
			}
			return reply{}
		})
		w.seal("1", apps(1000)...)
		w.wait(time.Second)
		c := w.spool.Counts()
		assert.EqualValues(t, 998, c.Delivered)
		assert.EqualValues(t, 2, c.Dead)
		assert.EqualValues(t, 998, w.backend.hits())
		letters := w.dead()
		require.Len(t, letters, 2)
		names := []string{letters[0].AppID, letters[1].AppID}
		assert.ElementsMatch(t, []string{"app17", "app901"}, names)
		assert.Equal(t, spool.Reason{Code: "not_valid_data", Message: "all data must be valid UTF8"}, letters[0].Reason)
		assert.Equal(t, spool.Answer{Status: 422, Code: "not_valid_data"}, letters[0].Answer)
		assert.Equal(t, map[string]uint64{"hits": 1}, letters[0].Usage)
		assert.Equal(t, 1, w.log.FilterMessage("transactions became dead letters").Len())
	})
}

func TestTransactionTooLargeAloneIsADeadLetter(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: http.StatusRequestEntityTooLarge} })
		w.seal("1", "a", "b")
		w.wait(time.Second)
		assert.EqualValues(t, 2, w.spool.Counts().Dead)
		assert.Equal(t, "too_large", w.dead()[0].Reason.Code)
	})
}

func TestWhatIsTooOldIsNotSent(t *testing.T) {
	inWorld(t, Options{ExpiredMargin: time.Hour}, func(w *world) {
		now := time.Now()
		w.sealAll("1", hit("old", now.Add(-23*time.Hour-time.Second)))
		w.sealAll("1", hit("young", now.Add(-23*time.Hour+time.Second)))
		w.wait(100 * time.Millisecond)
		c := w.spool.Counts()
		assert.EqualValues(t, 1, c.Delivered)
		assert.EqualValues(t, 1, c.Dead)
		require.Len(t, w.backend.seen(), 1)
		assert.Equal(t, []string{"young"}, w.backend.seen()[0].apps)
		letter := w.dead()[0]
		assert.Equal(t, "old", letter.AppID)
		assert.Equal(t, "expired", letter.Reason.Code)
		assert.Zero(t, letter.Answer)
	})
}

func TestOutageOfThirtyHoursLosesNothing(t *testing.T) {
	inWorld(t, Options{BackoffMax: 5 * time.Minute, ExpiredMargin: 15 * time.Minute}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		for range 30 {
			w.seal("1", apps(5)...)
			w.wait(time.Hour)
		}
		assert.EqualValues(t, 5*7, w.spool.Counts().Dead, "those that were refused until too old to send")
		w.backend.behave(nil)
		w.wait(10 * time.Minute)
		c := w.spool.Counts()
		assert.EqualValues(t, 150, c.Delivered+c.Dead)
		assert.Zero(t, c.Pending+c.Lost)
		assert.Equal(t, c.Delivered, w.backend.hits())
		assert.Greater(t, w.log.FilterMessage("transactions became dead letters").Len(), 0)
	})
}

func TestPartOfABatchGrowsTooOld(t *testing.T) {
	inWorld(t, Options{ExpiredMargin: time.Hour}, func(w *world) {
		w.sealAll("1", hit("old", time.Now().Add(-25*time.Hour)), hit("young", time.Now()))
		w.wait(time.Second)
		c := w.spool.Counts()
		assert.EqualValues(t, 1, c.Delivered)
		assert.EqualValues(t, 1, c.Dead)
		assert.Len(t, w.backend.seen(), 1)
	})
}
