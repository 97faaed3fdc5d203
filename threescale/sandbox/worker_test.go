package sandbox

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// unix writes a timestamp parameter.
func unix(at time.Time) string {
	return "&transactions[0][timestamp]=" + strconv.FormatInt(at.Unix(), 10)
}

func TestWorkerJudgesWhenItGetsToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{WorkerDelay: 10 * time.Second})
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")+unix(time.Now().Add(-24*time.Hour+9*time.Second))))
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "2")+unix(time.Now().Add(-24*time.Hour+10*time.Second))))
		assert.Empty(t, s.Usage(), "nothing is counted yet")

		start := time.Now()
		require.NoError(t, s.Settle(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.EqualValues(t, 2, s.Usage()["1001"]["app2"]["hits"])
		assert.EqualValues(t, 1, s.Calls().DiscardedBatches)
		assert.Equal(t, threescale.CodeTimestampTooOld, s.Errors()[0].Code)
	})
}

func TestSettleEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{WorkerDelay: time.Hour})
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, s.Settle(ctx), context.DeadlineExceeded)
	})
}

func TestWindowOfTimestamps(t *testing.T) {
	for _, c := range []struct {
		at   time.Duration
		code string
	}{
		{-24 * time.Hour, ""},
		{-24*time.Hour - time.Second, threescale.CodeTimestampTooOld},
		{time.Hour, ""},
		{time.Hour + time.Second, threescale.CodeTimestampTooNew},
	} {
		s := atNoon()
		require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")+unix(noon.Add(c.at))))
		require.NoError(t, s.Settle(t.Context()))
		code := ""
		if errors := s.Errors(); len(errors) > 0 {
			code = errors[0].Code
		}
		assert.Equal(t, c.code, code, c.at)
	}
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{WorkerDelay: time.Hour})
		for range maxJobs + 5 {
			require.Equal(t, http.StatusAccepted, report(s, hitsOf("app2", "1")))
		}
		assert.EqualValues(t, 5, s.Usage()["1001"]["app2"]["hits"], "the oldest are worked off early")
		assert.EqualValues(t, maxJobs+5, counted(t, s, "app2", "hits"))
	})
}

// An application asked for before it exists stays unknown for the life of a negative memory, to listener
// and worker each on its own, and takes whole batches with it (recording negative-cache-60s).
func TestNewApplicationStaysUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{NegativeCache: time.Minute})
		create := ApplicationChange{ServiceID: "1001", AppID: "new"}
		batch := hitsOf("new", "1") + "&transactions[1][app_id]=app2&transactions[1][usage][hits]=1"

		require.Equal(t, http.StatusAccepted, report(s, batch))
		require.NoError(t, s.Settle(t.Context()))
		require.NoError(t, s.PutApplications(create))
		assert.Equal(t, http.StatusOK, authorize(s, "authorize", "app_id=new", "").Code, "the listener had not asked yet")

		require.Equal(t, http.StatusAccepted, report(s, batch))
		assert.Zero(t, counted(t, s, "app2", "hits"), "nothing of either batch")
		assert.EqualValues(t, 2, s.Calls().DiscardedBatches)
		assert.EqualValues(t, 4, s.Calls().DiscardedTransactions)

		require.NoError(t, wait(t.Context(), time.Minute))
		require.Equal(t, http.StatusAccepted, report(s, batch))
		assert.EqualValues(t, 1, counted(t, s, "new", "hits"))
		assert.EqualValues(t, 1, counted(t, s, "app2", "hits"))
	})
}

func TestNewTokenStaysInvalid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{NegativeCache: time.Minute})
		const target = "/transactions/authorize.xml?service_token=fresh&service_id=1001&app_id=app2"
		assert.Equal(t, http.StatusForbidden, ask(s, http.MethodGet, target, "").Code)
		require.NoError(t, s.PutServices(ServiceChange{ID: "1001", Tokens: &[]string{"fresh"}}))
		assert.Equal(t, http.StatusForbidden, ask(s, http.MethodGet, target, "").Code)
		require.NoError(t, wait(t.Context(), time.Minute))
		assert.Equal(t, http.StatusOK, ask(s, http.MethodGet, target, "").Code)
	})
}

func TestSuspensionIsNoticedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{PositiveCache: time.Minute})
		require.Equal(t, http.StatusOK, authorize(s, "authorize", "app_id=app2", "").Code)
		require.NoError(t, s.PutApplications(ApplicationChange{ServiceID: "1001", AppID: "app2", State: "suspended"}))
		assert.Equal(t, http.StatusOK, authorize(s, "authorize", "app_id=app2", "").Code)
		require.NoError(t, wait(t.Context(), time.Minute))
		assert.Equal(t, http.StatusConflict, authorize(s, "authorize", "app_id=app2", "").Code)
	})
}
