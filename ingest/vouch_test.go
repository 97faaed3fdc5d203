package ingest

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// TestVouch: reports with credentials that are not those of a configured service are answered as the backend says of them, and
// kept with them if it accepts them; a configured service keeps its metrics. Without Vouch they have to be the configured ones.
func TestVouch(t *testing.T) {
	vouch := func(_ context.Context, id string, c threescale.Credentials, app threescale.Application) *threescale.Error {
		assert.Equal(t, "A", app.ID)
		switch c.ServiceToken {
		case "good":
			return nil
		case "away":
			return &threescale.Error{Status: http.StatusServiceUnavailable, Code: codeUnavailable, Text: "cannot be asked"}
		}
		return threescale.ServiceTokenInvalid(c.ServiceToken, id)
	}
	configured := Service{ID: "1001", Credentials: threescale.Credentials{ServiceToken: "own"}, Metrics: []string{"hits"}}
	l := listen(t, Options{Services: []Service{configured}, Passthrough: true, Vouch: vouch})
	both := Service{ID: "1002", Credentials: threescale.Credentials{ServiceToken: "own"}, ProviderKey: "key"}
	unasked := listen(t, Options{Services: []Service{configured, both}, Passthrough: true})
	trusting := listen(t, Options{Services: []Service{configured}, Passthrough: true, Vouch: vouch, Trust: true})
	closed := listen(t, Options{Services: []Service{configured}, Vouch: vouch})
	const usage = "&transactions[0][app_id]=A&transactions[0][usage][hits]=1"
	for _, service := range []string{"1001", "77"} {
		for token, want := range map[string]int{"good": 202, "bad": 403, "away": 503} {
			got := l.report(t, "service_token="+token+"&service_id="+service+usage)
			assert.Equal(t, want, got.StatusCode, "%s %s", service, token)
			if want == 503 {
				assert.NotEmpty(t, got.Header.Get("Retry-After"))
			}
		}
	}
	for _, e := range l.take() {
		assert.Equal(t, threescale.Credentials{ServiceToken: "good"}, e.Credentials)
	}
	assert.Equal(t, 202, l.report(t, "service_token=own&service_id=1001"+usage).StatusCode)
	assert.True(t, l.take()[0].Credentials.IsZero(), "the configured ones are not asked about, and are those of the day of delivery")
	assert.Equal(t, 404, l.report(t, "service_token=good&service_id=1001&transactions[0][app_id]=A&transactions[0][usage][other]=1").StatusCode)
	assert.Equal(t, 403, unasked.report(t, "service_token=good&service_id=1001"+usage).StatusCode)
	assert.Equal(t, 202, trusting.report(t, "service_token=good&service_id=1001"+usage).StatusCode, "any valid token of a configured service")
	assert.Equal(t, 403, trusting.report(t, "service_token=bad&service_id=1001"+usage).StatusCode)
	assert.Equal(t, 403, closed.report(t, "service_token=good&service_id=1001"+usage).StatusCode, "nothing is asked about")
	assert.Equal(t, 202, trusting.report(t, "service_token=bad&service_id=77"+usage).StatusCode)
	assert.Equal(t, 403, closed.report(t, "service_token=good&service_id=77"+usage).StatusCode)
	unasked.take()
	for _, own := range []string{"service_token=own", "provider_key=key"} { // both are configured
		assert.Equal(t, 202, unasked.report(t, own+"&service_id=1002"+usage).StatusCode)
		assert.True(t, unasked.take()[0].Credentials.IsZero())
	}
	assert.Equal(t, 403, unasked.report(t, "provider_key=other&service_id=1002"+usage).StatusCode)
}

// TestAdmit: usage that cannot be taken is refused with the reason, by event and by report, and nothing of the request is kept.
func TestAdmit(t *testing.T) {
	l := listen(t, Options{Admit: func(e *event.Event) string {
		if e.Usage[0].Value > 1<<50 {
			return "would be too much"
		}
		return ""
	}})
	for value, want := range map[string]int{"5": 202, "9007199254740991": 422} {
		got := l.post(t, "application/json", `[{"service_id":"1001","app_id":"A","usage":{"hits":1}},{"service_id":"1001","app_id":"A","usage":{"hits":`+value+`}}]`)
		assert.Equal(t, want, got.StatusCode)
		if want == 422 {
			assert.Contains(t, got.body, `"errors":[{"index":1,"field":"usage","detail":"would be too much"}]`)
			assert.Empty(t, l.take())
		}
		l.take()
	}
	got := l.report(t, "service_token=stoken1001&service_id=1001&transactions[0][app_id]=A&transactions[0][usage][hits]=9007199254740991")
	assert.Equal(t, 403, got.StatusCode)
	assert.Contains(t, got.body, `<error code="usage_value_invalid">usage of transaction 0 would be too much</error>`)
	assert.Empty(t, l.take())
}
