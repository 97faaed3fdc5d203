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
