package threescale

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// AuthorizeCall is one of the four GET calls.
type AuthorizeCall struct {
	ServiceID   string
	Credentials Credentials
	Application Application
	AppKey      *string // nil: not sent, which is not the same as empty on an oauth service
	Referrer    string
	RedirectURL *string // oauth calls only
	RedirectURI *string // oauth calls only
	Usage       Usage   // zero values are sent: they ask for the limits as they stand
	Code        int     // log[code], authrep only; 0: none
	Options     Options
}

// Authorization is the answer to an AuthorizeCall.
type Authorization struct {
	Answer
	Verdict *Status      // of a 200 or a 409 with a body that could be read
	Limits  LimitHeaders // when they were asked for and sent
}

// LimitHeaders are the 3scale-limit-* headers of an answer. They mean something only when every metric
// of the call has usage above zero.
type LimitHeaders struct {
	Present   bool
	Remaining int64 // identical calls that fit; -1: no limit applies
	Reset     int64 // seconds to the end of the period; -1: never
	Max       int64 // the limit; 0 if the header was not sent
}

// Authorize makes one attempt at GET /transactions/authorize.xml, which counts nothing. An answer of
// any status comes back with a nil error; every error is a *TransportError.
func (c *Client) Authorize(ctx context.Context, call *AuthorizeCall) (*Authorization, error) {
	return c.ask(ctx, "/transactions/authorize.xml", call)
}

// AuthRep makes one attempt at GET /transactions/authrep.xml, which counts the usage: like a report it
// must not be repeated blindly. Otherwise as Authorize.
func (c *Client) AuthRep(ctx context.Context, call *AuthorizeCall) (*Authorization, error) {
	return c.ask(ctx, "/transactions/authrep.xml", call)
}

// OAuthAuthorize is Authorize for services that use OAuth.
func (c *Client) OAuthAuthorize(ctx context.Context, call *AuthorizeCall) (*Authorization, error) {
	return c.ask(ctx, "/transactions/oauth_authorize.xml", call)
}

// OAuthAuthRep is AuthRep for services that use OAuth.
func (c *Client) OAuthAuthRep(ctx context.Context, call *AuthorizeCall) (*Authorization, error) {
	return c.ask(ctx, "/transactions/oauth_authrep.xml", call)
}

func (c *Client) ask(ctx context.Context, path string, call *AuthorizeCall) (*Authorization, error) {
	query := call.AppendQuery(nil)
	if len(query) > MaxQuery {
		return nil, &TransportError{Err: fmt.Errorf("query string of %d bytes, the backend reads %d", len(query), MaxQuery)}
	}
	header := http.Header{}
	if o := call.Options.String(); o != "" {
		header.Set(OptionsHeader, o)
	}
	sent := time.Now()
	answer, res, err := c.attempt(ctx, http.MethodGet, path+"?"+string(query), header, nil)
	if err != nil {
		return nil, err
	}
	out := &Authorization{Answer: *answer, Limits: limitHeaders(res)}
	if answer.Status == http.StatusOK || answer.Status == http.StatusConflict {
		if status, err := ParseStatus(answer.Body); err == nil && !answer.Truncated {
			out.Verdict = status
		}
	}
	out.judge(call.Credentials)
	c.clock.authorized(call, out, sent, time.Now())
	return out, nil
}

func limitHeaders(h http.Header) LimitHeaders {
	remaining, err := strconv.ParseInt(h.Get("3scale-limit-remaining"), 10, 64)
	if err != nil {
		return LimitHeaders{}
	}
	l := LimitHeaders{Present: true, Remaining: remaining, Reset: -1}
	if reset, err := strconv.ParseInt(h.Get("3scale-limit-reset"), 10, 64); err == nil {
		l.Reset = reset
	}
	l.Max, _ = strconv.ParseInt(h.Get("3scale-limit-max-value"), 10, 64)
	return l
}

// AppendQuery appends the query string of the call, escaped as AppendForm escapes.
func (call *AuthorizeCall) AppendQuery(dst []byte) []byte {
	start := len(dst)
	dst = appendCredentials(dst, start, call.Credentials)
	optional := func(name string, value *string) {
		if value != nil {
			dst = appendParam(dst, start, name, *value)
		}
	}
	filled := func(name, value string) {
		if value != "" {
			dst = appendParam(dst, start, name, value)
		}
	}
	filled("service_id", call.ServiceID)
	filled("app_id", call.Application.ID)
	filled("user_key", call.Application.UserKey)
	optional("app_key", call.AppKey)
	filled("referrer", call.Referrer)
	optional("redirect_url", call.RedirectURL)
	optional("redirect_uri", call.RedirectURI)
	for _, inc := range call.Usage {
		name := string(appendEscaped([]byte("usage["), inc.Metric)) + "]"
		dst = appendParam(dst, start, name, strconv.FormatUint(inc.Value, 10))
	}
	if call.Code != 0 {
		dst = appendParam(dst, start, "log[code]", strconv.Itoa(call.Code))
	}
	return dst
}
