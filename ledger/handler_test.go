package ledger

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// kept is a ledger with one delivered batch: two applications of service 1001, one of which used a method.
func kept(t *testing.T, at time.Time) *Ledger {
	t.Helper()
	l, err := Open(Options{Dir: t.TempDir(), Keep: time.Hour, Parents: func(string) map[string]string {
		return map[string]string{"search": "hits", "deep": "search", "orphan": "silent"}
	}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	use := func(app, metric string, value uint64) spool.Transaction {
		return spool.Transaction{Events: 1, Transaction: threescale.Transaction{
			Application: threescale.Application{ID: app}, Timestamp: at.Unix(), Usage: []threescale.Increment{{Metric: metric, Value: value}},
		}}
	}
	b := &spool.Batch{ID: spool.BatchID{Position: 9}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: at, Transactions: []spool.Transaction{
		use("app1", "hits", 3), use("app1", "deep", 4), use("app2", "hits", 5), use("app2", "orphan", 7),
	}}
	r := run{Ledger: l, next: 2, gathered: []spool.BatchEvent{
		{Kind: spool.BatchSealed, Batch: b}, {Kind: spool.BatchAmbiguous, Batch: b}, {Kind: spool.BatchEnded, Batch: b},
	}}
	require.NoError(t, r.commit(t.Context()))
	l.measure()
	return l
}

func asked(l *Ledger, query string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/ledger?"+query, nil)
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w
}

// TestAnswers: what is asked for, and nothing else; methods count for their parents.
func TestAnswers(t *testing.T) {
	at := time.Date(2026, 11, 26, 17, 20, 0, 0, time.UTC)
	l := kept(t, at)
	for name, c := range map[string]struct {
		query string
		want  []string // service, application, metric = delivered
	}{
		"everything":         {"", []string{"1001/app1/hits=7", "1001/app1/search=4", "1001/app1/deep=4", "1001/app2/hits=5", "1001/app2/orphan=7", "1001/app2/silent=7"}},
		"as it was reported": {"expand=false&metric=hits", []string{"1001/app1/hits=3", "1001/app2/hits=5"}},
		"a metric":           {"metric=hits", []string{"1001/app1/hits=7", "1001/app2/hits=5"}},
		"a silent parent":    {"metric=silent", []string{"1001/app2/silent=7"}},
		"an application":     {"app_id=app2&metric=hits", []string{"1001/app2/hits=5"}},
		"no such":            {"app_id=app9", nil},
		"a service":          {"group=service_id,metric&metric=hits&service_id=1001", []string{"1001//hits=12"}},
		"all of them":        {"group=metric&metric=hits", []string{"//hits=12"}},
		"by month":           {"by=month&metric=hits&app_id=app1", []string{"1001/app1/hits=7"}},
		"the hour before":    {"until=2026-11-26T17:00:00Z", nil},
	} {
		t.Run(name, func(t *testing.T) {
			query := "since=2026-11-01&until=2026-12-01&" + c.query
			if strings.HasPrefix(c.query, "until") {
				query = "since=2026-11-01&" + c.query
			}
			w := asked(l, query)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			var got page
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			var rows []string
			for _, r := range got.Rows {
				rows = append(rows, r.ServiceID+"/"+r.AppID+"/"+r.Metric+"="+jsonOf(r.Delivered))
				assert.Equal(t, r.Delivered, r.Accepted)
				assert.Equal(t, r.Delivered, r.Ambiguous)
				assert.Zero(t, r.Pending)
			}
			assert.ElementsMatch(t, c.want, rows)
		})
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// TestPages: what next says leads to the rest, without a row twice or none.
func TestPages(t *testing.T) {
	l := kept(t, time.Now())
	var got []string
	for cursor, n := "", 0; n < 10; n++ {
		var p page
		require.NoError(t, json.Unmarshal(asked(l, "limit=2&cursor="+cursor).Body.Bytes(), &p))
		for _, r := range p.Rows {
			got = append(got, r.AppID+" "+r.Metric)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	assert.ElementsMatch(t, []string{"app1 hits", "app1 search", "app1 deep", "app2 hits", "app2 orphan", "app2 silent"}, got)
}

func TestCSV(t *testing.T) {
	l := kept(t, time.Date(2026, 11, 26, 17, 20, 0, 0, time.UTC))
	w := asked(l, "since=2026-11-26&until=2026-11-27&app_id=app2&metric=hits", "Accept", "text/csv")
	assert.Equal(t, "text/csv; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Equal(t, strings.Join(columns, ",")+"\n2026-11-26T17:00:00Z,1001,app2,hits,5,5,5,0,0,0,0,0,0,0,0\n", w.Body.String())
	assert.Equal(t, strings.Join(columns, ",")+"\n", asked(l, "app_id=nobody&format=csv").Body.String())
}

// TestBadQuestions: each names the parameter and what was expected.
func TestBadQuestions(t *testing.T) {
	l := kept(t, time.Now())
	for query, want := range map[string]string{
		"by=week":        "by: \"week\": expected hour, day or month",
		"since=tomorrow": "since: \"tomorrow\": expected a time",
		"limit=0":        "limit: \"0\": expected a number from 1 to 10000",
		"cursor=!":       "cursor: \"!\": expected the value of next",
		"group=apps":     "group: \"apps\": expected a list of service_id, app_id and metric",
		"sevice_id=1":    "sevice_id: unknown parameter",
		"format=xml":     "format: \"xml\": expected json or csv",
		"expand=maybe":   "expand: \"maybe\": expected true or false",
	} {
		w := asked(l, query)
		assert.Equal(t, http.StatusBadRequest, w.Code, query)
		var said struct{ Detail string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
		assert.Contains(t, said.Detail, want)
	}
}

// TestEvidence: what a batch added to which cells, with a key's hash in place of the key.
func TestEvidence(t *testing.T) {
	at := time.Date(2026, 11, 26, 17, 20, 0, 0, time.UTC)
	l := kept(t, at)
	var all []BatchRecord
	require.NoError(t, l.Batches("1001", at.Add(-time.Hour), func(r *BatchRecord) error {
		all = append(all, *r)
		return nil
	}))
	require.Len(t, all, 1)
	assert.Equal(t, "000000000009-0000", all[0].ID)
	assert.Equal(t, 1, all[0].Ambiguous)
	assert.Contains(t, all[0].Cells, BatchCell{Hour: at.Truncate(time.Hour), AppID: "app1", Metric: "hits", Delivered: 3, Ambiguous: 3})
	assert.Len(t, all[0].Cells, 4)
	assert.Equal(t, "user_key:2bb80d537b1d", ApplicationName(threescale.Application{UserKey: "secret"}))
}

// TestOldDays: what is older than Keep goes, and a file that is too large gives up its first days.
func TestOldDays(t *testing.T) {
	l := kept(t, time.Now().Add(-72*time.Hour))
	r := run{Ledger: l}
	assert.False(t, l.Stats().Earliest.IsZero())
	r.prune(t.Context())
	assert.True(t, l.Stats().Earliest.IsZero())

	l = kept(t, time.Now().Add(-72*time.Hour))
	l.options.Keep, l.options.MaxBytes = 1000*time.Hour, 1
	r = run{Ledger: l}
	r.prune(t.Context())
	assert.True(t, l.Stats().Earliest.IsZero())
	assert.EqualValues(t, 1, l.Stats().GivenUp)
}

// TestHarmlessCSV: a name that was chosen to be a formula is a name.
func TestHarmlessCSV(t *testing.T) {
	r := pageRow{AppID: `=HYPERLINK("http://x")`, Metric: "hits", ServiceID: "1001"}
	assert.Equal(t, []string{"1001", `'=HYPERLINK("http://x")`, "hits"}, r.fields()[1:4])
}
