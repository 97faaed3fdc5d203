package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/console"
)

// DeadLetters returns a page of the dead letters that a query selects.
func (c *Client) DeadLetters(ctx context.Context, q console.DeadLetterQuery) (page console.DeadLetters, err error) {
	v := url.Values{}
	for name, text := range filters(q) {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	err = c.Call(ctx, http.MethodGet, "/api/v1/deadletters?"+v.Encode(), nil, &page)
	return page, err
}

// DeadLetter returns one dead letter.
func (c *Client) DeadLetter(ctx context.Context, id string) (letter json.RawMessage, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/deadletters/"+url.PathEscape(id), nil, &letter)
	return letter, err
}

// OrderDeadLetters requeues or drops the named letters, or one page of those that the order's query selects. action is requeue or
// drop. It returns once that is durable.
func (c *Client) OrderDeadLetters(ctx context.Context, action string, o console.DeadLetterOrder) (out console.DeadLetterOutcome, err error) {
	body := map[string]any{"dry_run": o.DryRun, "restamp": o.Restamp}
	if len(o.IDs) > 0 {
		body["ids"] = o.IDs
	} else {
		for name, value := range filters(o.Query) {
			body[name] = value
		}
		body["limit"], body["all"] = o.Query.Limit, true
	}
	err = c.Call(ctx, http.MethodPost, "/api/v1/deadletters/"+action, body, &out)
	return out, err
}

// Parked returns at most limit reports with an unknown outcome, behind a cursor: that of the previous page, or empty. next is the
// cursor of the next page; empty: it was the last.
func (c *Client) Parked(ctx context.Context, cursor string, limit int) (parked []console.Parked, next string, err error) {
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		v.Set("cursor", cursor)
	}
	var page struct {
		Parked []console.Parked `json:"parked"`
		Next   string           `json:"next"`
	}
	err = c.Call(ctx, http.MethodGet, "/api/v1/parked?"+v.Encode(), nil, &page)
	return page.Parked, page.Next, err
}

// ParkedReport returns one of them.
func (c *Client) ParkedReport(ctx context.Context, id string) (p console.Parked, err error) {
	err = c.Call(ctx, http.MethodGet, "/api/v1/parked/"+url.PathEscape(id), nil, &p)
	return p, err
}

// Settle decides about one of them: console.Resend, Counted or Bury. It returns once that is durable.
func (c *Client) Settle(ctx context.Context, id, fate string) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/parked/"+url.PathEscape(id)+"/"+fate, nil, &struct{}{})
}

// filters returns a query's filters by their names in the API; empty: not set.
func filters(q console.DeadLetterQuery) map[string]string {
	return map[string]string{
		"service_id": q.ServiceID, "reason": q.Reason, "cursor": q.Cursor, "since": stamp(q.Since), "until": stamp(q.Until),
	}
}

// stamp returns a time in the format of the API; empty for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
