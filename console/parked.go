package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
)

// ErrNotParked is returned for a batch that is not parked.
var ErrNotParked = errors.New("no such parked batch")

// ErrCursor is returned for a cursor that is not from a page.
var ErrCursor = errors.New("cursor: expected the next of a page")

// statusOf returns the HTTP status for an error of a listing or an order.
func statusOf(err error) int {
	if errors.Is(err, ErrCursor) {
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// Parking lists reports with an unknown outcome, and decides about them. Its functions may be called concurrently.
type Parking struct {
	// List returns at most limit parked batches behind a cursor: the id of one, or empty.
	List func(ctx context.Context, cursor string, limit int) ([]Parked, error)
	// One returns one of them; ErrNotParked if the id is unknown.
	One func(ctx context.Context, id string) (Parked, error)
	// Settle decides about one: Resend, Counted or Bury. It returns once that is durable.
	Settle func(ctx context.Context, id, fate string) error
}

// The decisions about a parked batch.
const (
	Resend  = "resend"  // it was not counted: send it again
	Counted = "counted" // it was counted: finish it
	Bury    = "bury"    // make dead letters of it
)

// Parked is a report with an unknown outcome, kept until an operator decides.
type Parked struct {
	ID           string              `json:"id"`
	ServiceID    string              `json:"service_id"`
	Events       uint64              `json:"events"`
	Attempts     int                 `json:"attempts"`
	Ambiguous    int                 `json:"ambiguous"` // of the attempts, those with an unknown outcome
	LastAttempt  time.Time           `json:"last_attempt"`
	SealedAt     time.Time           `json:"sealed_at"`
	Transactions []ParkedTransaction `json:"transactions"`
}

// ParkedTransaction is one transaction of a parked report.
type ParkedTransaction struct {
	AppID        string            `json:"app_id,omitempty"`
	UserKey      string            `json:"user_key,omitempty"` // in the ledger's form, a hash, if the application of the key is not known
	Usage        map[string]uint64 `json:"usage"`
	Timestamp    time.Time         `json:"timestamp"`
	ResponseCode int               `json:"response_code,omitempty"`
	Events       uint64            `json:"events"`
}

// parkedPage is the maximum number of parked batches in one answer: each may have a thousand transactions.
const parkedPage = 10

// parked answers GET /api/v1/parked?cursor=&limit=.
func (c *Console) parked(w http.ResponseWriter, r *http.Request) {
	limit := parkedPage
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			respond.Problem(w, http.StatusBadRequest, "limit: expected 1 to "+strconv.Itoa(maxPage))
			return
		}
		limit = n
	}
	list, err := c.options.Parking.List(r.Context(), r.URL.Query().Get("cursor"), limit)
	if err != nil {
		respond.Problem(w, statusOf(err), err.Error())
		return
	}
	page := struct {
		Parked []Parked `json:"parked"`
		Next   string   `json:"next"`
	}{Parked: list}
	if list == nil {
		page.Parked = []Parked{} // [] and not null
	}
	if len(list) == limit {
		page.Next = list[limit-1].ID
	}
	respond.JSON(w, http.StatusOK, page)
}

// parkedReport answers GET /api/v1/parked/{id}.
func (c *Console) parkedReport(w http.ResponseWriter, r *http.Request) {
	p, err := c.options.Parking.One(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, ErrNotParked):
		respond.Problem(w, http.StatusNotFound, err.Error())
	case err != nil:
		respond.Problem(w, http.StatusInternalServerError, err.Error())
	default:
		respond.JSON(w, http.StatusOK, p)
	}
}

// settle answers POST /api/v1/parked/{id}/{fate}.
func (c *Console) settle(w http.ResponseWriter, r *http.Request) {
	fate := r.PathValue("fate")
	if fate != Resend && fate != Counted && fate != Bury {
		respond.Problem(w, http.StatusNotFound, "expected resend, counted or bury")
		return
	}
	err := c.options.Parking.Settle(r.Context(), r.PathValue("id"), fate)
	switch {
	case errors.Is(err, ErrNotParked):
		respond.Problem(w, http.StatusNotFound, err.Error())
	case err != nil:
		respond.Problem(w, http.StatusInternalServerError, err.Error())
	default:
		respond.JSON(w, http.StatusOK, struct {
			ID   string `json:"id"`
			Fate string `json:"fate"`
		}{r.PathValue("id"), fate})
	}
}
