package threescale

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is what came back for one attempt. It holds no credentials of the call: those the backend
// repeats are replaced by [redacted].
type Answer struct {
	Status      int           // HTTP status
	Code        string        // of an <error>; of a 409 with the header, the rejection reason
	Text        string        // of an <error>, redacted
	Body        []byte        // at most 64 KiB (4 MiB of a <status>); what arrived, if the rest did not
	Truncated   bool          // Body is not the whole
	ContentType string        // as sent
	Cascade     bool          // x-cascade: pass: the backend has no such path
	RetryAfter  time.Duration // from seconds or a date; 0: none, or in the past
	Rejection   string        // header 3scale-rejection-reason
	Date        time.Time     // of the clock that answered, in whole seconds; zero: it did not say
}

// readAnswer reads at most limit bytes of the body. A body that ends early does not spoil the status.
func readAnswer(res *http.Response, limit int64, now time.Time) *Answer {
	a := &Answer{
		Status:      res.StatusCode,
		ContentType: res.Header.Get("Content-Type"),
		Cascade:     res.Header.Get("X-Cascade") == "pass",
		RetryAfter:  parseRetryAfter(res.Header.Get("Retry-After"), now),
		Rejection:   res.Header.Get("3scale-rejection-reason"),
	}
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		a.Date = date
	}
	reach := limit + 1
	if res.ContentLength > 0 && mediaType(a.ContentType) == "text/html" {
		// The backend follows some pages with a second answer that belongs to no request.
		// A body that is not read to its end takes the connection with it: leave the last byte.
		reach = min(reach, res.ContentLength-1)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, reach))
	a.Truncated = err != nil || int64(len(body)) > limit
	a.Body = body[:min(int64(len(body)), limit)]
	return a
}

// judge takes code and text out of the body, then removes the credentials of the call from both.
func (a *Answer) judge(c Credentials) {
	a.Code = a.Rejection
	if e, ok := ParseError(a.Body); ok {
		a.Code, a.Text = e.Code, string(c.scrub([]byte(Redact(e.Code, e.Text))))
	}
	a.Body = c.scrub(a.Body)
}

// parseRetryAfter understands both forms of the header.
func parseRetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if n, err := strconv.ParseInt(header, 10, 64); err == nil {
		const most = int64(1<<63-1) / int64(time.Second)
		return time.Duration(min(max(n, 0), most)) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}
