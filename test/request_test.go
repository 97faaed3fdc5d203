package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

// request is one call of a producer, and what it is worth when it is kept.
type request struct {
	path, contentType string
	body              []byte
	events            int
	usage             tally
	ids               bool // every event carries an id: sending it again counts nothing twice
}

// consumer is an application of the sandbox, as events name it and as usage shows it.
type consumer struct{ service, appID, userKey, shown string }

// Two sets of consumers, each spread over lanes. The first are used by events with ids, which are sent
// again until they are acknowledged: nothing about them stays in doubt. The second by those without.
var (
	identified = []consumer{
		{"1001", "bulk1", "", "bulk1"}, {"1001", "bulk2", "", "bulk2"}, {"1001", "bulk3", "", "bulk3"},
		{"1003", "appoauth", "", "appoauth"},
	}
	anonymous = []consumer{
		{"1001", "app1", "", "app1"}, {"1001", "app2", "", "app2"}, {"1001", "appnolim", "", "appnolim"},
		{"1002", "", "ukey1", "appuk"},
	}
)

// shownAs is the name under which the sandbox shows an application.
func shownAs(service, appID, userKey string) string {
	for _, c := range slices.Concat(identified, anonymous) {
		if c.service == service && c.appID == appID && c.userKey == userKey {
			return c.shown
		}
	}
	return appID + userKey
}

// randomEvent is one hit of someone and some transfer. The transfer's size makes every batch one of its
// kind, so that a report which arrives twice is recognised by its body.
func randomEvent(r *rand.Rand, c consumer, id string) event {
	e := event{ServiceID: c.service, AppID: c.appID, UserKey: c.userKey, ID: id,
		Usage: map[string]uint64{"hits": 1, "transfer": 1 + r.Uint64N(1<<30)}}
	if r.IntN(10) == 0 {
		e.Code = 200 + r.IntN(300)
	}
	return e
}

// newRequest draws a request of up to thirty events: an array, lines, or 3scale's own form. A name makes
// ids for the events; the form has no room for them.
func newRequest(r *rand.Rand, name string) *request {
	q := &request{path: "/v1/events", contentType: "application/json", ids: name != "", usage: tally{}}
	events := make([]event, 1+r.IntN(30))
	form := !q.ids && r.IntN(3) == 0
	for i := range events {
		c, id := anonymous[r.IntN(len(anonymous))], ""
		if form {
			c = anonymous[r.IntN(3)] // one call is for one service
		}
		if q.ids {
			c, id = identified[r.IntN(len(identified))], fmt.Sprintf("%s-%d", name, i)
		}
		events[i] = randomEvent(r, c, id)
		for metric, value := range events[i].Usage {
			q.usage.count(c.service, c.shown, metric, value)
		}
	}
	q.events = len(events)
	switch {
	case form:
		q.path, q.contentType, q.body = "/transactions.xml", "application/x-www-form-urlencoded", formBody(events)
	case r.IntN(2) == 0:
		q.contentType, q.body = "application/x-ndjson", lines(events)
	default:
		q.body, _ = json.Marshal(events)
	}
	return q
}

// lines writes an event a line.
func lines(events []event) []byte {
	var text strings.Builder
	for _, e := range events {
		line, _ := json.Marshal(e)
		text.Write(line)
		text.WriteByte('\n')
	}
	return []byte(text.String())
}

// formBody writes events as a 3scale client reports them.
func formBody(events []event) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "service_token=stoken%s&service_id=%[1]s", events[0].ServiceID)
	for i, e := range events {
		fmt.Fprintf(&text, "&transactions[%d][app_id]=%s", i, url.QueryEscape(e.AppID))
		for metric, value := range e.Usage {
			fmt.Fprintf(&text, "&transactions[%d][usage][%s]=%d", i, metric, value)
		}
		if e.Code != 0 {
			fmt.Fprintf(&text, "&transactions[%d][log][code]=%d", i, e.Code)
		}
	}
	return []byte(text.String())
}
