package console_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/console"
)

func TestParked(t *testing.T) {
	o := options()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	decided := ""
	o.Parking = console.Parking{
		List: func(_ context.Context, cursor string, limit int) ([]console.Parked, error) {
			if cursor == "bad" {
				return nil, errors.New("bad cursor")
			}
			if cursor != "" || limit != 1 {
				return nil, nil
			}
			return []console.Parked{{ID: "000000000042-0000", ServiceID: "1001", Events: 3, Attempts: 2, Ambiguous: 1, LastAttempt: at, SealedAt: at,
				Transactions: []console.ParkedTransaction{{AppID: "app1", Usage: map[string]uint64{"hits": 3}, Timestamp: at, Events: 3}}}}, nil
		},
		One: func(_ context.Context, id string) (console.Parked, error) {
			switch id {
			case "000000000042-0000":
				return console.Parked{ID: id}, nil
			case "unreadable":
				return console.Parked{}, errors.New("disk")
			}
			return console.Parked{}, console.ErrNotParked
		},
		Settle: func(_ context.Context, id, fate string) error {
			if id != "000000000042-0000" {
				return console.ErrNotParked
			}
			decided = fate
			return nil
		},
	}
	w := ask(t, o, http.MethodGet, "/api/v1/parked?limit=1")
	assert.JSONEq(t, `{"parked":[{"id":"000000000042-0000","service_id":"1001","events":3,"attempts":2,"ambiguous":1,
		"last_attempt":"2026-11-21T12:00:00Z","sealed_at":"2026-11-21T12:00:00Z",
		"transactions":[{"app_id":"app1","usage":{"hits":3},"timestamp":"2026-11-21T12:00:00Z","events":3}]}],"next":"000000000042-0000"}`, w.Body.String())
	assert.JSONEq(t, `{"parked":[],"next":""}`, ask(t, o, http.MethodGet, "/api/v1/parked").Body.String())
	for target, status := range map[string]int{
		"/api/v1/parked?limit=0": http.StatusBadRequest, "/api/v1/parked?cursor=bad": http.StatusInternalServerError,
		"/api/v1/parked/000000000042-0000": http.StatusOK, "/api/v1/parked/000000000043-0000": http.StatusNotFound, "/api/v1/parked/unreadable": http.StatusInternalServerError,
	} {
		assert.Equal(t, status, ask(t, o, http.MethodGet, target).Code, target)
	}
	for target, status := range map[string]int{
		"/api/v1/parked/000000000042-0000/drop": http.StatusNotFound, "/api/v1/parked/000000000043-0000/bury": http.StatusNotFound,
	} {
		assert.Equal(t, status, ask(t, o, http.MethodPost, target).Code, target)
		assert.Empty(t, decided)
	}
	assert.Equal(t, http.StatusOK, ask(t, o, http.MethodPost, "/api/v1/parked/000000000042-0000/counted").Code)
	assert.Equal(t, console.Counted, decided)
}

// A lane with nothing but parked reports is a part that is degraded, and says which command decides.
func TestParkedReportsAreSaidByHealth(t *testing.T) {
	o := options()
	o.Snapshot = func(int) console.Snapshot {
		return console.Snapshot{Lanes: []console.Lane{{ServiceID: "1001", State: "parked", Batches: 2, Parked: 2}}}
	}
	body := ask(t, o, http.MethodGet, "/readyz?verbose").Body.String()
	assert.Contains(t, body, `{"name":"backend","status":"degraded","detail":"2 reports are parked until you decide: reporterd parked ls"}`)
	assert.Contains(t, ask(t, o, http.MethodGet, "/metrics").Body.String(), `reporterd_lanes{state="parked"} 1`)
}

func TestNames(t *testing.T) {
	o := options()
	o.Names = func(context.Context) (console.Names, error) { return console.Names{Services: []string{"1001"}}, nil }
	assert.JSONEq(t, `{"services":["1001"],"reasons":[]}`, ask(t, o, http.MethodGet, "/api/v1/names").Body.String())
	o.Names = func(context.Context) (console.Names, error) { return console.Names{}, errors.New("disk") }
	assert.Equal(t, http.StatusInternalServerError, ask(t, o, http.MethodGet, "/api/v1/names").Code)
}
