package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/internal/respond"
	"github.com/reporterd/reporterd/internal/timespec"
)

// Limits of one page of dead letters.
const (
	defaultPage = 100
	maxPage     = 1000
)

// DeadLetterQuery selects dead letters; zero fields select all.
type DeadLetterQuery struct {
	ServiceID string
	Reason    string    // the code
	Since     time.Time // made at or after
	Until     time.Time // made at or before
	Limit     int       // 1 to 1000
	Cursor    string    // from DeadLetters.Next
}

// DeadLetters is one page of a listing.
type DeadLetters struct {
	Letters []json.RawMessage `json:"deadletters"` // each in the form of its file
	Next    string            `json:"next"`        // the cursor of the next page; empty: it was the last
}

func (c *Console) deadLetters(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		respond.Problem(w, http.StatusBadRequest, err.Error())
		return
	}
	page, err := c.options.DeadLetters(r.Context(), q)
	if err != nil {
		respond.Problem(w, statusOf(err), err.Error())
		return
	}
	if page.Letters == nil {
		page.Letters = []json.RawMessage{} // [] and not null
	}
	respond.JSON(w, http.StatusOK, page)
}

// parseQuery refuses unknown parameters: a filter with a typing error would select everything.
func parseQuery(raw string) (DeadLetterQuery, error) {
	q := DeadLetterQuery{Limit: defaultPage}
	v, err := url.ParseQuery(raw)
	if err != nil {
		return q, err
	}
	for name := range v {
		switch text := v.Get(name); name {
		case "service_id":
			q.ServiceID = text
		case "reason":
			q.Reason = text
		case "cursor":
			q.Cursor = text
		case "since", "until":
			err = q.bound(name, text)
		case "limit":
			q.Limit, err = parseLimit(text)
		default:
			err = fmt.Errorf("%q: unknown parameter: expected service_id, reason, since, until, limit or cursor", name)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

// bound sets Since or Until.
func (q *DeadLetterQuery) bound(name, text string) error {
	at, err := parseTime(text)
	if err != nil {
		return fmt.Errorf("%s: %q: %s", name, text, timespec.Expected)
	}
	if name == "until" {
		q.Until = at
	} else {
		q.Since = at
	}
	return nil
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return timespec.At(text, time.Now(), time.UTC)
}

func parseLimit(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, fmt.Errorf("limit: %q: expected 1 to %d", text, maxPage)
	}
	return n, nil
}
