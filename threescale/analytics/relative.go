package analytics

import (
	"net/url"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/timespec"
)

// resolve replaces since and until that depend on the current time, which the original does not know: 30d, now-30d/d, yesterday,
// {date.add(-30).format()}. Everything else stays for Moment to read or to refuse.
func resolve(params url.Values, now time.Time) {
	at := time.UTC
	if loc, _, known := zone(params.Get("timezone")); known {
		at = loc
	}
	for _, name := range []string{"since", "until"} {
		text := strings.TrimSpace(params.Get(name))
		if text == "" || strings.Trim(text, "0123456789") == "" {
			continue
		}
		if _, err := Moment(text, at); err == nil {
			continue
		}
		if t, err := timespec.At(text, now, at); err == nil {
			params.Set(name, t.Format(time.RFC3339))
		}
	}
}
