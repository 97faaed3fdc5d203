package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// noon is where the tests' clocks start, far from the ends of all periods but a day's half.
var noon = time.Date(2026, 11, 21, 12, 0, 30, 0, time.UTC)

// fixed returns a sandbox whose clock stands at noon.
func atNoon() *Sandbox { return New(Options{Now: func() time.Time { return noon }}) }

// ask makes a call without a connection.
func ask(s *Sandbox, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// report sends transactions for service 1001, as form parameters.
func report(s *Sandbox, form string) int {
	return ask(s, http.MethodPost, "/transactions.xml", "service_token=stoken1001&service_id=1001&"+form).Code
}

// hitsOf reports n hits of an application, in a single transaction.
func hitsOf(application, n string) string {
	return "transactions[0][app_id]=" + application + "&transactions[0][usage][hits]=" + n
}

// authorize makes a GET call for service 1001.
func authorize(s *Sandbox, call, query, options string) *httptest.ResponseRecorder {
	target := "/transactions/" + call + ".xml?service_token=stoken1001&service_id=1001&" + query
	return ask(s, http.MethodGet, target, "", threescale.OptionsHeader, options)
}

// counted returns a total of service 1001 once the worker has nothing to do.
func counted(t *testing.T, s *Sandbox, application, metric string) uint64 {
	require.NoError(t, s.Settle(t.Context()))
	return s.Usage()["1001"][application][metric]
}

// control makes a call under /sandbox/ and decodes what it answers.
func control(t *testing.T, s *Sandbox, method, target, body string, into any) int {
	w := ask(s, method, target, body)
	if into != nil {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), into), w.Body)
	}
	return w.Code
}
