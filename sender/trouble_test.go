package sender

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// times answers n calls with a, and takes the rest.
func times(n int, a reply) func(call) reply {
	return func(call) reply {
		if n == 0 {
			return reply{}
		}
		n--
		return a
	}
}

func TestFailuresUntilTheBackendComesBack(t *testing.T) {
	for name, test := range map[string]struct {
		fault     reply
		counted   uint64 // of one hit, after four faults
		ambiguous uint64
	}{
		"503":                    {reply{status: 503}, 1, 0},
		"429":                    {reply{status: 429}, 1, 0},
		"408":                    {reply{status: 408}, 1, 0},
		"500, not landed":        {reply{status: 500}, 1, 4},
		"500, landed":            {reply{status: 500, landed: true}, 5, 4},
		"502, landed":            {reply{status: 502, landed: true}, 5, 4},
		"504, not landed":        {reply{status: 504}, 1, 4},
		"reset, not landed":      {reply{err: errReset}, 1, 4},
		"reset, landed":          {reply{err: errReset, landed: true}, 5, 4},
		"no answer, landed":      {reply{delay: time.Hour, landed: true}, 5, 4},
		"no answer, not landed":  {reply{delay: time.Hour, status: 503}, 1, 4},
		"token unknown for some": {refuse(403, "service_token_invalid", `service token "t1" or service id "1" is invalid`), 1, 0},
		"a page":                 {reply{status: 404, body: "<html>"}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w *world) {
				w.backend.behave(times(4, test.fault))
				w.seal("1", "a")
				w.wait(5 * time.Minute)
				c := w.spool.Counts()
				assert.EqualValues(t, 1, c.Delivered)
				assert.Equal(t, test.ambiguous, c.Ambiguous)
				assert.Equal(t, test.counted, w.backend.hits())
				assert.Len(t, w.backend.seen(), 5)
				assert.Equal(t, Flowing, w.lane("1").State)
				assert.Equal(t, 1, w.log.FilterMessage("reports are not delivered").Len(), "said once")
				assert.Equal(t, 1, w.log.FilterMessage("reports are delivered again").Len(), "and once that it is over")
			})
		})
	}
}

// TestASuccessThatIsNotTheBackends: a proxy answers a report with a success. It is no delivery; the report may have been
// counted, so it is repeated slowly, or parked, and an operator is told at once.
func TestASuccessThatIsNotTheBackends(t *testing.T) {
	for name, test := range map[string]struct {
		fault           reply
		counted, parked uint64 // of one hit, after two such answers and with on_ambiguous: park after one
	}{
		"202 with a page, had not landed": {reply{status: 202, body: "<html>"}, 1, 0},
		"202 with a page, had landed":     {reply{status: 202, body: "<html>", landed: true}, 3, 1},
		"200 with a page, had not landed": {reply{status: 200, body: "<html>"}, 1, 0},
		"200 with a page, had landed":     {reply{status: 200, body: "<html>", landed: true}, 3, 1},
		"204, had not landed":             {reply{status: 204}, 1, 0},
		"204, had landed":                 {reply{status: 204, landed: true}, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w *world) {
				w.backend.behave(times(2, test.fault))
				w.seal("1", "a")
				w.wait(time.Second)
				assert.Zero(t, w.spool.Counts().Delivered)
				assert.Equal(t, "unexpected_answer", w.lane("1").LastError)
				entries := w.log.FilterMessage("reports are not delivered").All()
				require.Len(t, entries, 1, "said at once")
				assert.Contains(t, entries[0].ContextMap()["advice"], "proxies")
				w.wait(12 * time.Minute)
				calls := w.backend.seen()
				require.Len(t, calls, 3)
				assert.GreaterOrEqual(t, calls[2].at.Sub(calls[1].at), 5*time.Minute)
				c := w.spool.Counts()
				assert.EqualValues(t, 1, c.Delivered)
				assert.EqualValues(t, 2, c.Ambiguous)
				assert.Equal(t, test.counted, w.backend.hits())
			})
			inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
				w.backend.behave(times(2, test.fault))
				w.seal("1", "a")
				w.wait(30 * time.Minute)
				assert.Len(t, w.backend.seen(), 1)
				assert.EqualValues(t, 1, w.lane("1").Parked)
				assert.EqualValues(t, 1, w.spool.Counts().Pending)
				assert.Equal(t, test.parked, w.backend.hits())
			})
		})
	}
}

func TestRetryAfterIsTheLeastToWait(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(times(1, reply{status: 503, header: http.Header{"Retry-After": {"90"}}}))
		w.seal("1", "a")
		w.wait(3 * time.Minute)
		calls := w.backend.seen()
		require.Len(t, calls, 2)
		assert.GreaterOrEqual(t, calls[1].at.Sub(calls[0].at), 90*time.Second)
	})
}

func TestBackendThatIsAwayIsNotHammered(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		for range 100 {
			w.seal("1", "a")
		}
		w.wait(time.Hour)
		n := len(w.backend.seen())
		t.Logf("%d calls in an hour", n)
		assert.Greater(t, n, 100)
		assert.Less(t, n, 600)
		assert.EqualValues(t, 100, w.spool.Counts().Pending)
		began := time.Now()
		w.backend.behave(nil)
		w.wait(time.Minute)
		assert.EqualValues(t, 100, w.spool.Counts().Delivered)
		assert.Less(t, w.backend.seen()[n].at.Sub(began), 31*time.Second)
	})
}

func TestRefusedTokenHoldsTheLaneUntilItIsCorrected(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(c call) reply {
			if c.token == "t1" {
				return refuse(403, "service_token_invalid", `service token "t1" or service id "1" is invalid`)
			}
			return reply{}
		})
		for range 5 {
			w.seal("1", apps(10)...)
			w.seal("2", "b")
		}
		w.wait(10 * time.Minute)
		assert.EqualValues(t, 5, w.spool.Counts().Delivered)
		assert.Equal(t, Held, w.lane("1").State)
		n := len(w.backend.seen()) - 5
		assert.GreaterOrEqual(t, n, 16, "tried slowly")
		assert.LessOrEqual(t, n, 26, "tried slowly")

		w.configure("1", "fresh")
		w.sender.Kick("1")
		w.wait(time.Millisecond)
		assert.EqualValues(t, 55, w.spool.Counts().Delivered)
		entries := w.log.FilterMessage("reports are not delivered").All()
		require.Len(t, entries, 1)
		assert.Contains(t, entries[0].ContextMap()["advice"], "token")
	})
}

func TestUnknownServiceIsHeld(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.seal("4", "a")
		w.wait(time.Hour)
		assert.Equal(t, Held, w.lane("4").State)
		assert.Equal(t, "no_credentials", w.lane("4").LastError)
		assert.Empty(t, w.backend.seen())
		w.configure("4", "t4")
		w.sender.Kick("4")
		w.wait(time.Millisecond)
		assert.EqualValues(t, 1, w.spool.Counts().Delivered)
	})
}

func TestLogHoldsNoCredentials(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.configure("1", "verysecret")
		w.backend.behave(func(c call) reply {
			return refuse(403, "service_token_invalid", `service token "verysecret" or service id "1" is invalid`)
		})
		w.seal("1", "a")
		w.wait(time.Minute)
		require.NotZero(t, w.log.Len())
		for _, e := range w.log.All() {
			for _, value := range e.ContextMap() {
				if text, ok := value.(string); ok {
					assert.False(t, strings.Contains(text, "verysecret"))
				}
			}
		}
	})
}
