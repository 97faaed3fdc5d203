package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale/analytics"
)

// readSpan reads the range of an Analytics query with the engine that the daemon's own reads have, and.
func readSpan(params url.Values, now time.Time) (*analytics.Span, error) {
	s, err := analytics.ReadSpan(params, now, false)
	return s, refusedSpan(params, err)
}

// refusedSpan says it as the sandbox does.
func refusedSpan(params url.Values, err error) error {
	var r *analytics.Refusal
	switch {
	case !errors.As(err, &r):
		return err
	case r.Plain:
		return &refusal{r.Status, r.Sentence}
	case params.Has("period") && strings.HasPrefix(r.Sentence, "Granularity must"): // the original stumbles over that
		return &refusal{http.StatusInternalServerError, "Internal Server Error"}
	}
	return refuse(r.Status, r.Sentence)
}

// parseMoment reads a date or a time, in a zone unless it names an offset.
func parseMoment(text string, zone *time.Location) (time.Time, error) {
	t, err := analytics.Moment(text, zone)
	return t, refusedSpan(nil, err)
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }
