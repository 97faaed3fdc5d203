package analytics

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The counters and the clock behind testdata/vectors.json, as its note says.
var (
	counted = struct{ from, to time.Time }{time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	clock   = time.Date(2026, 3, 15, 11, 12, 13, 0, time.UTC)
)

func counterAt(hour time.Time) int64 { return 1 + hour.Unix()/3600*7%11 }

// fixture is a source with those counters for the metric hits, of two applications that share them.
func fixture() Source {
	service := Service{ID: 1, Key: "1001", Name: "Orders", SystemName: "orders", State: "incomplete", BackendVersion: "2"}
	app := func(id int64, key, name string) Application {
		return Application{ID: id, Key: key, Name: name, State: "live", ServiceID: 1, ServiceKey: "1001", ServiceName: "Orders",
			PlanID: 7, PlanName: "Basic", AccountID: 5, AccountName: "ACME"}
	}
	return Source{
		Services: func(context.Context) ([]Service, error) {
			return []Service{service, {ID: 3, Key: "1003", Name: "Other"}}, nil
		},
		Metrics: func(_ context.Context, key string) ([]Metric, error) {
			return []Metric{{ID: 2, SystemName: "hits", Name: "Hits", Unit: "hit"}, {ID: 4, SystemName: "search", Name: "Search", Unit: "hit", ParentID: 2}}, nil
		},
		Applications: func(_ context.Context, key string) ([]Application, error) {
			if key != "1001" {
				return nil, nil
			}
			return []Application{app(11, "app1", "My App"), app(12, HashedKey("secret"), "=cmd"), app(13, "idle", "Idle")}, nil
		},
		Hours: func(_ context.Context, q Question, add func(time.Time, int64)) error {
			from, to := q.Since, q.Until
			if from.Before(counted.from) {
				from = counted.from
			}
			if to.After(counted.to) {
				to = counted.to
			}
			for at := from.Truncate(time.Hour); at.Before(to); at = at.Add(time.Hour) {
				if !at.Before(from) && q.Figure == Delivered {
					add(at, counterAt(at))
				}
			}
			return nil
		},
		Top: func(context.Context, Question) (map[string]int64, error) {
			return map[string]int64{"app1": 300, HashedKey("secret"): 500, "deleted": 900}, nil
		},
	}
}

func api() *API { return New(Options{Source: fixture(), Now: func() time.Time { return clock }}) }

func get(t *testing.T, h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// vector is one answer of the original, and what of it is deliberately answered otherwise.
type vector struct {
	Query     map[string]string
	Status    int
	Response  map[string]any
	Error     string
	Verdict   string
	Corrected map[string]any
}

// differences are the keys that a vector may correct, and the defect of the original that is not copied.
var differences = map[string]string{
	"previous_total": "the range before has one bucket too many, and by month none",
	"change":         "follows previous_total",
	"values":         "summer time begins inside the range, and its offset is taken once",
	"total":          "follows values",
	"status":         "zeros in zones without whole hours; 500 for what is no date",
}

func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var file struct{ Vectors []vector }
	require.NoError(t, json.Unmarshal(text, &file))
	require.Len(t, file.Vectors, 31)
	alike := 0
	for _, v := range file.Vectors {
		q := url.Values{"metric_name": {"hits"}, "timezone": {"UTC"}, "skip_change": {"false"}}
		for name, value := range v.Query {
			q.Set(name, value)
		}
		t.Run(q.Encode(), func(t *testing.T) {
			status, want := v.Status, maps.Clone(v.Response)
			if v.Error != "" {
				want = map[string]any{"error": v.Error}
			}
			for key, value := range v.Corrected {
				require.Contains(t, differences, key, "a difference without a name")
				if key == "status" {
					status, want = int(value.(float64)), nil
					continue
				}
				want[key] = value
			}
			w := get(t, api(), "/stats/services/1/usage.json?"+q.Encode())
			require.Equal(t, status, w.Code, w.Body.String())
			if want == nil {
				return
			}
			var got map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
			assert.Equal(t, want, got)
			if len(v.Corrected) == 0 {
				alike++
			}
		})
	}
	t.Logf("%d vectors: %d alike to the last key, %d with a difference that is named", len(file.Vectors), alike, len(file.Vectors)-alike)
}
