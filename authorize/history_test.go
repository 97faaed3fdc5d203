package authorize

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// history is a life of one application with a single reporter, with everything known. In every order of events,
// and with any number of starts of the daemon, what counts against a limit is what was accepted
// and did not become a dead letter, and a call is granted if, and only if, it fits.
type history struct {
	*world
	r       *rand.Rand
	subject subject
	limits  []sandbox.Limit
	counts  []event.Event // against limits: what is pending and what was delivered
	batches map[string][]event.Event
	dead    []event.Event
	tale    []string

	attempted map[string]bool // batches
	ended     *sync.Map       // batches that are no more
	killed    func()          // ends what the present life reads
	denied    int             // calls that came while the backlog was read

	outcomes []outcome // as they were recorded on disk
	saved    string    // the file that was written last
	savedAt  int       // how many outcomes it contains
	resumes  time.Time // when the backend's worker goes on; zero: it works
	skew     time.Duration
}

// subject is whose life it is: the application that the backend knows, and all names that it is called and reported by.
type subject struct {
	service, app string
	token        string
	services     []string                 // names of the service beside its provider's key
	called       threescale.Application   // in authorizations
	reported     []threescale.Application // in reports
}

// subjects are an application with an id, and one with a user key.
var subjects = []subject{
	{
		service: "1001", app: "life", token: "stoken1001", services: []string{"", "1001", "foo-1001"},
		called: threescale.Application{ID: "life"}, reported: []threescale.Application{{ID: "life"}},
	},
	{
		service: "1002", app: "appuk", token: "stoken1002", services: []string{"1002", "foo-1002"},
		called: threescale.Application{UserKey: "ukey1"}, reported: []threescale.Application{{UserKey: "ukey1"}, {ID: "appuk"}},
	},
}

// outcome is what the batch log says of a batch that ended: what was delivered.
type outcome struct {
	lane      quota.Lane
	delivered []event.Event
}

const (
	patient = 23 * time.Hour   // what is older is not sent
	behind  = 30 * time.Minute // the most that the backend's worker is
	skewed  = 20 * time.Minute // the most that its clock is wrong, ahead or behind
)

var above = map[string][]string{"hits": {"hits"}, "search": {"search", "hits"}, "search_deep": {"search_deep", "search", "hits"}, "other": {"other", "hits"}}

func same(a, b event.Event) bool { return a.ID == b.ID }

// sum is what counts against a limit now.
func (h *history) sum(l sandbox.Limit) (n uint64) {
	p, _ := threescale.ParsePeriod(l.Period)
	start, end := p.Start(time.Now()).Unix(), p.End(time.Now()).Unix()
	for _, e := range h.counts {
		if p != threescale.Eternity && (e.Timestamp < start || e.Timestamp >= end) {
			continue
		}
		if u := e.Usage[0]; u.Metric == l.Metric || !e.FlatUsage && slices.Contains(above[u.Metric], l.Metric) {
			n += u.Value
		}
	}
	return n
}

func (h *history) usage() event.Event {
	metric := []string{"hits", "search", "search_deep", "other"}[h.r.IntN(4)]
	e := event.Event{ID: fmt.Sprint(len(h.tale)), FlatUsage: h.r.IntN(5) == 0, Transaction: threescale.Transaction{
		Application: h.subject.reported[h.r.IntN(len(h.subject.reported))], Usage: threescale.Usage{{Metric: metric, Value: 1 + h.r.Uint64N(6)}}, Timestamp: time.Now().Unix(),
	}}
	e.ServiceID = h.subject.service
	if name := h.r.IntN(6); name < len(h.subject.services) {
		e.ServiceID, e.Credentials = h.subject.services[name], threescale.Credentials{ProviderKey: "pkey"}
	}
	return e
}

// laneFor is the lane of an event.
func laneFor(e event.Event) quota.Lane {
	return quota.Lane{ServiceID: e.ServiceID, Credentials: e.Credentials, FlatUsage: e.FlatUsage}
}

// fits reports whether usage may be granted now.
func (h *history) fits(e event.Event) bool {
	u := e.Usage[0]
	for _, l := range h.limits {
		counts := u.Metric == l.Metric || !e.FlatUsage && slices.Contains(above[u.Metric], l.Metric)
		if counts && h.sum(l)+u.Value > l.Max {
			return false
		}
	}
	return true
}

// query is the part of a query that names the service of an event, and the application as it is called.
func (h *history) query(e event.Event) string {
	app := "&app_id=" + h.subject.called.ID
	if h.subject.called.ID == "" {
		app = "&user_key=" + h.subject.called.UserKey
	}
	switch {
	case e.Credentials.IsZero():
		return "service_token=" + h.subject.token + "&service_id=" + h.subject.service + app
	case e.ServiceID == "":
		return "provider_key=pkey" + app
	}
	return "provider_key=pkey&service_id=" + e.ServiceID + app
}

// opening are the credentials that a report of a lane is sent with.
func (h *history) opening(l quota.Lane) threescale.Credentials {
	if l.Credentials.IsZero() {
		return threescale.Credentials{ServiceToken: h.subject.token}
	}
	return l.Credentials
}

// call asks, and holds the answer against the truth.
func (h *history) call() {
	e := h.usage()
	u := e.Usage[0]
	fits, loaded := h.fits(e), h.Loaded()
	r := h.request("authrep", fmt.Sprintf("%s&usage[%s]=%d", h.query(e), u.Metric, u.Value), e.FlatUsage)
	h.tell("authrep %v flat %v: %d", u, e.FlatUsage, r.status)
	if !h.Loaded() && r.status != http.StatusOK {
		h.denied++
		return // not granted beyond the limit, and that is all that is known
	}
	require.True(h.t, loaded || h.Loaded(), "no answer but a denial before all is counted: %v", h.tale)
	if !loaded { // it waited for the backlog: a minute may have turned
		fits = h.fits(e)
	}
	require.Equal(h.t, fits, r.status == http.StatusOK, "%v", h.tale)
	if fits {
		kept := h.journal.events
		last := kept[len(kept)-1]
		e.Timestamp, e.ServiceID, e.Application = last.Timestamp, last.ServiceID, last.Application
		kept[len(kept)-1].ID = e.ID
		h.counts = append(h.counts, e)
	}
	r = h.request("authorize", h.query(event.Event{}), false)
	for _, l := range h.limits {
		p, _ := threescale.ParsePeriod(l.Period)
		require.EqualValues(h.t, h.sum(l), r.current(h.t, l.Metric, p), "%s per %s: %v", l.Metric, l.Period, h.tale)
	}
}

func (h *history) request(call, query string, flat bool) got {
	q, err := http.NewRequest(http.MethodGet, "/transactions/"+call+".xml?"+query, nil)
	require.NoError(h.t, err)
	if flat {
		q.Header.Set(threescale.OptionsHeader, "flat_usage=1")
	}
	return h.send(q)
}

func (h *history) tell(format string, args ...any) {
	h.tale = append(h.tale, fmt.Sprintf(format, args...))
}

// report takes usage in by another way.
func (h *history) report() {
	e := h.usage()
	e.Timestamp -= h.r.Int64N(7200)
	list := []event.Event{e}
	_, err := h.Append(h.t.Context(), list)
	require.NoError(h.t, err)
	h.counts = append(h.counts, list[0])
	h.tell("report %v flat %v at %d", e.Usage[0], e.FlatUsage, e.Timestamp)
}

// seal makes batches of what is in the journal.
func (h *history) seal() {
	events := h.journal.take()
	for i, e := range events {
		name := fmt.Sprint("batch", len(h.tale), e.FlatUsage, e.ServiceID, e.Credentials.ProviderKey, i/4)
		h.batches[name] = append(h.batches[name], e)
	}
	h.tell("seal %d", len(events))
}

// attempt tries one batch, of which the old part is not sent: it is counted, not taken, or refused.
func (h *history) attempt() {
	for _, name := range slices.Sorted(maps.Keys(h.batches))[:min(1, len(h.batches))] {
		events := h.batches[name]
		lane := laneFor(events[0])
		outcomes := make([]quota.Outcome, len(events))
		fate := []quota.Outcome{quota.Delivered, quota.Delivered, quota.Returned, quota.Refused}[h.r.IntN(4)]
		var sent []int
		var list []threescale.Transaction
		for i, e := range events {
			if outcomes[i] = fate; time.Since(time.Unix(e.Timestamp, 0)) < patient {
				sent, list = append(sent, i), append(list, e.Transaction)
			} else if fate != quota.Returned {
				outcomes[i] = quota.Refused
			}
		}
		buried := fate == quota.Refused && h.r.IntN(2) == 0 // without being sent
		if len(sent) > 0 && !buried {
			h.Sending(name, lane, some(events, sent...))
		}
		if fate == quota.Delivered && len(sent) > 0 {
			_, err := h.client.Report(h.t.Context(), &threescale.Report{
				ServiceID: lane.ServiceID, Credentials: h.opening(lane), FlatUsage: lane.FlatUsage, Transactions: list,
			})
			require.NoError(h.t, err)
			synctest.Wait()
		}
		o := outcome{lane: lane}
		for i, e := range events {
			if outcomes[i] == quota.Delivered {
				o.delivered = append(o.delivered, e)
			}
		}
		if fate != quota.Returned { // on disk first
			h.ended.Store(name, true)
			h.outcomes = append(h.outcomes, o)
			pass(time.Duration(h.r.IntN(3)) * 100 * time.Millisecond)
		}
		h.Settled(name, lane, with(events, outcomes...))
		for i, e := range events {
			if outcomes[i] == quota.Refused {
				h.dead = append(h.dead, e)
				h.counts = slices.DeleteFunc(h.counts, func(c event.Event) bool { return same(c, e) })
			}
		}
		h.attempted[name] = true
		if fate != quota.Returned {
			delete(h.batches, name)
		}
		h.tell("%s of %d, %d sent: %v", name, len(events), len(sent), outcomes)
	}
}

// requeue makes a dead letter a batch.
func (h *history) requeue() {
	if len(h.dead) == 0 {
		return
	}
	e := h.dead[0]
	h.dead = h.dead[1:]
	h.Requeue(func() []quota.Usage {
		h.batches[fmt.Sprint("again", len(h.tale))] = []event.Event{e}
		return []quota.Usage{{Lane: laneFor(e), Transaction: &e.Transaction}}
	})
	h.counts = append(h.counts, e)
	h.tell("requeue %v at %d", e.Usage[0], e.Timestamp)
}

// limit sets the limits of the application.
func (h *history) limit() {
	h.limits = []sandbox.Limit{{Metric: "hits", Period: "eternity", Max: 900}, {Metric: "hits", Period: "day", Max: 300},
		{Metric: "hits", Period: "minute", Max: 25}, {Metric: "search", Period: "hour", Max: 60}}
	plan := "Life"
	require.NoError(h.t, h.sandbox.PutApplications(sandbox.ApplicationChange{
		ServiceID: h.subject.service, AppID: h.subject.app, Plan: &plan, Limits: &h.limits,
	}))
}

// begin lets the backend tell what the names mean: until then usage waits under them.
func (h *history) begin() {
	h.Follow()
	for _, name := range h.subject.services {
		e := event.Event{ServiceID: name, Credentials: threescale.Credentials{ProviderKey: "pkey"}}
		require.Equal(h.t, http.StatusOK, h.request("authorize", h.query(e), false).status)
	}
	require.Equal(h.t, http.StatusOK, h.request("authorize", h.query(event.Event{}), false).status)
	h.save()
}

// TestHistories: many lives.
func TestHistories(t *testing.T) {
	for seed := range lives() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &history{
					world: newWorld(t, func(o *worldOptions) { o.MaxEntries, o.Services = 1, nil }), r: rand.New(rand.NewPCG(seed, 0)), batches: map[string][]event.Event{},
					attempted: map[string]bool{}, ended: &sync.Map{}, killed: func() {}, subject: subjects[seed%uint64(len(subjects))],
				}
				h.limit()
				defer func() {
					h.killed()
					pass(time.Minute) // what reads for it ends
				}()
				h.begin()
				for range 150 {
					switch k := h.r.IntN(29); {
					case k < 9:
						h.call()
					case k < 11:
						h.report()
					case k < 13:
						h.seal()
					case k < 17:
						h.attempt()
					case k < 19:
						h.requeue()
					case k < 20:
						h.restart()
					case k < 21:
						h.crowd()
					case k < 23:
						h.save()
					case k < 25:
						h.worker()
					case k < 26:
						h.clock()
					default:
						d := time.Duration(h.r.Int64N(int64([]time.Duration{5 * time.Second, time.Minute, time.Hour, 16 * time.Hour}[h.r.IntN(4)])))
						h.pass(d)
					}
				}
			})
		})
	}
}

// lives is how many lives are told: 30, or as many as REPORTERD_LIVES says.
func lives() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("REPORTERD_LIVES"), 10, 64); err == nil {
		return n
	}
	return 30
}
