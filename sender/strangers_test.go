package sender

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// strangers is how many lanes of services that are not configured a test makes: 1,000, or as many as REPORTERD_STRANGERS says.
func strangers() int {
	if n, err := strconv.Atoi(os.Getenv("REPORTERD_STRANGERS")); err == nil {
		return n
	}
	return 1000
}

// sealStrangers seals a batch for each of n services that are not configured.
func (w *world) sealStrangers(n int) {
	for from := 0; from < n; from += 10_000 {
		var events []event.Event
		for i := from; i < min(n, from+10_000); i++ {
			events = append(events, event.Event{
				ServiceID: fmt.Sprint("s", i), Credentials: threescale.Credentials{ServiceToken: "passed"}, Transaction: hit("a", time.Now()).Transaction,
			})
		}
		_, err := w.spool.Append(w.t.Context(), events)
		require.NoError(w.t, err)
		cut, err := w.spool.BeginCut(spool.Position(w.spool.Counts().Accepted))
		require.NoError(w.t, err)
		for i := range events {
			require.NoError(w.t, cut.Add(&spool.Batch{
				Lane: spool.LaneKey{ServiceID: events[i].ServiceID, Credentials: events[i].Credentials}, Transactions: []spool.Transaction{hit("a", time.Now())},
			}))
		}
		require.NoError(w.t, cut.Commit(0))
	}
}

// deliverOwn seals batches of ten configured services, and returns how long the slowest of them took.
func (w *world) deliverOwn() (slowest time.Duration) {
	var at time.Time
	sealed := len(w.backend.seen())
	for i := range 10 {
		w.seal(strconv.Itoa(1000+i), "own")
	}
	began := time.Now()
	w.wait(2 * time.Second)
	own := 0
	for _, c := range w.backend.seen()[sealed:] {
		if !strings.HasPrefix(c.service, "s") {
			own, at = own+1, c.at
		}
	}
	require.Equal(w.t, 10, own, "all of them, within two seconds")
	return at.Sub(began)
}

// TestStrangersComeSecond: ten configured services are delivered as without them while there are lanes of many services that are
// not configured, healthy or refused, which get their turn all the same.
func TestStrangersComeSecond(t *testing.T) {
	for name, refused := range map[string]bool{"healthy": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{}, func(w *world) {
				for i := range 10 {
					w.configure(strconv.Itoa(1000+i), "t")
				}
				w.backend.behave(func(c call) reply {
					if refused && strings.HasPrefix(c.service, "s") {
						r := refuse(403, "service_token_invalid", "no")
						r.delay = 200 * time.Millisecond
						return r
					}
					return reply{delay: 200 * time.Millisecond}
				})
				alone := w.deliverOwn()
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				w.sealStrangers(strangers())
				w.wait(time.Second)
				runtime.GC()
				runtime.ReadMemStats(&after)
				for range 5 {
					beside := w.deliverOwn()
					t.Logf("%d lanes of strangers, %s: the slowest of ten configured services began after %v, without them after %v; %d bytes a lane",
						strangers(), name, beside, alone, (int64(after.HeapAlloc)-int64(before.HeapAlloc))/int64(strangers()))
					assert.LessOrEqual(t, beside, alone+400*time.Millisecond)
				}
				served := 0
				for _, c := range w.backend.seen() {
					if strings.HasPrefix(c.service, "s") {
						served++
					}
				}
				assert.Greater(t, served, 50, "they have their turn")
			})
		})
	}
}

// TestRefusedStrangersAreTriedSeldom: the more of their lanes are held, the longer each waits, so that they cost few calls.
func TestRefusedStrangersAreTriedSeldom(t *testing.T) {
	inWorld(t, Options{HoldPoll: 30 * time.Second}, func(w *world) {
		w.backend.behave(func(c call) reply { return refuse(403, "service_token_invalid", "no") })
		w.sealStrangers(1000)
		w.wait(5 * time.Minute)
		before := len(w.backend.seen())
		w.wait(10 * time.Minute)
		each := float64(len(w.backend.seen())-before) / 20
		t.Logf("1000 held lanes: %.0f calls in 30 s", each)
		assert.Less(t, each, 250.0)
		assert.Greater(t, each, 50.0)
	})
}
