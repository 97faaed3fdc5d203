package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/reporterd/reporterd/internal/respond"
)

// maxOrder is the maximum size of an order in bytes: a thousand ids fit.
const maxOrder = 256 << 10

// ErrNoDeadLetter says that no dead letter has this id: it was requeued, dropped, or never written.
var ErrNoDeadLetter = errors.New("no such dead letter")

// DeadLetterOrder selects dead letters and what to do with them: those named by IDs, at most 1000, or one page of those that
// Query selects.
type DeadLetterOrder struct {
	IDs     []string
	Query   DeadLetterQuery
	DryRun  bool // only report which are selected
	Restamp bool // requeue only: their usage is counted now, not at its own timestamp
}

// DeadLetterOutcome is the result of an order.
type DeadLetterOutcome struct {
	DryRun  bool     `json:"dry_run"`
	Letters int      `json:"letters"` // how many were requeued or dropped, or would be
	Events  uint64   `json:"events"`  // events in them
	IDs     []string `json:"ids"`
	Errors  []string `json:"errors"` // one for each letter that failed
	Next    string   `json:"next"`   // the cursor of the next page; empty: it was the last
}

// orderBody is the JSON of an order.
type orderBody struct {
	IDs     []string `json:"ids"`
	Service string   `json:"service_id"`
	Reason  string   `json:"reason"`
	Since   string   `json:"since"`
	Until   string   `json:"until"`
	All     bool     `json:"all"` // required in an order without ids and filters, which selects all
	Limit   int      `json:"limit"`
	Cursor  string   `json:"cursor"`
	DryRun  bool     `json:"dry_run"`
	Restamp bool     `json:"restamp"`
}

func (c *Console) deadLetter(w http.ResponseWriter, r *http.Request) {
	letter, err := c.options.DeadLetter(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, ErrNoDeadLetter):
		respond.Problem(w, http.StatusNotFound, err.Error())
	case err != nil:
		respond.Problem(w, http.StatusInternalServerError, err.Error())
	default:
		respond.JSON(w, http.StatusOK, letter)
	}
}

// order answers a POST that changes dead letters.
func (c *Console) order(do func(context.Context, DeadLetterOrder) (DeadLetterOutcome, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// An old browser lets a page of another site post a form without a check, but not JSON.
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
			respond.Problem(w, http.StatusUnsupportedMediaType, "expected Content-Type application/json")
			return
		}
		o, err := readOrder(http.MaxBytesReader(w, r.Body, maxOrder))
		if err != nil {
			respond.Problem(w, http.StatusBadRequest, err.Error())
			return
		}
		outcome, err := do(r.Context(), o)
		if err != nil {
			respond.Problem(w, statusOf(err), err.Error())
			return
		}
		if outcome.IDs == nil {
			outcome.IDs = []string{} // [] and not null
		}
		if outcome.Errors == nil {
			outcome.Errors = []string{}
		}
		respond.JSON(w, http.StatusOK, outcome)
	}
}

// readOrder refuses unknown fields: a filter with a typing error would select everything.
func readOrder(body io.Reader) (o DeadLetterOrder, err error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return o, err
	}
	var b orderBody
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return o, fmt.Errorf("body: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, errors.New("body: expected one JSON object")
	}
	return b.order()
}

func (b *orderBody) order() (o DeadLetterOrder, err error) {
	filtered := b.Service != "" || b.Reason != "" || b.Since != "" || b.Until != ""
	switch {
	case len(b.IDs) > 0 && (filtered || b.All):
		return o, errors.New("ids cannot be given together with a filter or all")
	case len(b.IDs) > maxPage:
		return o, fmt.Errorf("ids: %d: expected at most %d", len(b.IDs), maxPage)
	case len(b.IDs) == 0 && !filtered && !b.All:
		return o, errors.New(`name ids, or a filter (service_id, reason, since, until), or set "all": true`)
	case b.Limit < 0 || b.Limit > maxPage:
		return o, fmt.Errorf("limit: %d: expected 1 to %d", b.Limit, maxPage)
	case b.Limit == 0:
		b.Limit = defaultPage
	}
	q := DeadLetterQuery{ServiceID: b.Service, Reason: b.Reason, Limit: b.Limit, Cursor: b.Cursor}
	if err := errors.Join(q.bound("since", b.Since), q.bound("until", b.Until)); err != nil {
		return o, err
	}
	return DeadLetterOrder{IDs: b.IDs, Query: q, DryRun: b.DryRun, Restamp: b.Restamp}, nil
}
