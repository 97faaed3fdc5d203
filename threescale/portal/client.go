package portal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/internal/backoff"
)

const (
	mostBody    = 16 << 20 // bytes of an answer
	tries       = 4
	longestWait = time.Minute
	longestBusy = time.Hour // of what the portal asks for; then it is asked again
)

// retry spaces the attempts of one call: 1 to 2, 2 to 4, and 4 to 8 seconds, or as long as the portal asks for, up to a minute.
var retry = backoff.Policy{Base: 2 * time.Second, Max: longestWait, Jitter: 0.5, MaxFloor: longestWait}

// Options of New.
type Options struct {
	URL       string // as Address makes it
	Token     string
	RootCAs   *x509.CertPool // nil: the system's
	Timeout   time.Duration  // of one call; 0: 30 seconds
	PerSecond float64        // calls, one after another; 0: 2
	UserAgent string
}

// Client asks a portal, one call at a time. It is safe for concurrent use.
type Client struct {
	options Options
	http    *http.Client
	calls   atomic.Uint64
	skew    atomic.Int64 // nanoseconds that the portal's clock is ahead, as of the last answer

	mu   sync.Mutex // held through a call, so that there is one at a time; guards what follows
	next time.Time  // the earliest of the next call
	busy time.Time  // until then calls are refused here: the portal asked to be left alone for longer than a call may wait
}

// New returns a client. It makes no call.
func New(o Options) (*Client, error) {
	if _, err := url.Parse(o.URL); err != nil || o.URL == "" {
		return nil, errors.New("portal: no address")
	}
	if o.Token == "" {
		return nil, errors.New("portal: no access token")
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.PerSecond <= 0 {
		o.PerSecond = 2
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
	return &Client{options: o, http: &http.Client{
		Transport: transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would carry the token elsewhere
	}}, nil
}

// Calls returns how many calls were made.
func (c *Client) Calls() uint64 { return c.calls.Load() }

// Skew returns how far the portal's clock is ahead of ours, to about a second, as of the last answer.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

// URL returns the address.
func (c *Client) URL() string { return c.options.URL }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get asks for a path of the Analytics or the Account Management API and returns the answer, which is JSON and at most 16 MiB. It
// waits for its turn and repeats a call as the other methods do. Errors are *Error, or ctx's.
func (c *Client) Get(ctx context.Context, path string, q url.Values) (answer json.RawMessage, err error) {
	err = c.get(ctx, path, q, &answer)
	return answer, err
}

// get asks for a path and decodes the answer. It waits for its turn, and repeats what a busy or failing portal
// refuses, no sooner than that asks for. A portal that asks for more than a minute is not asked before that is over: calls until
// then fail at once. Errors are *Error, or ctx's.
func (c *Client) get(ctx context.Context, path string, q url.Values, into any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for n := range tries {
		if err = c.waitLocked(ctx); err != nil {
			return err
		}
		var pause time.Duration
		if pause, err = c.once(ctx, http.MethodGet, path, q, into); err == nil || ctx.Err() != nil || !worthwhile(err) {
			break
		}
		if pause > longestWait {
			c.busy = time.Now().Add(min(pause, longestBusy))
			break
		}
		c.next = time.Now().Add(retry.Delay(n+1, pause))
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// change makes one call that changes something, and decodes the answer unless into is nil. It is not repeated: what became of a
// call without an answer shows when the portal is read again.
func (c *Client) change(ctx context.Context, method, path string, form url.Values, into any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.waitLocked(ctx); err != nil {
		return err
	}
	var ignored json.RawMessage
	if into == nil {
		into = &ignored
	}
	_, err := c.once(ctx, method, path, form, into)
	return err
}

// worthwhile reports whether the same call may have another answer in a moment.
func worthwhile(err error) bool {
	switch FaultOf(err) {
	case FaultRate, FaultServer, FaultTime, FaultReach:
		return true
	}
	return false
}

// waitLocked keeps the calls apart, and refuses one while the portal wants to be left alone. mu is held.
func (c *Client) waitLocked(ctx context.Context) error {
	now := time.Now()
	if d := c.busy.Sub(now); d > 0 {
		return &Error{Fault: FaultRate, Text: "it asked to be left alone until " + c.busy.UTC().Format(time.RFC3339), RetryAfter: d}
	}
	if d := c.next.Sub(now); d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.next = time.Now().Add(time.Duration(float64(time.Second) / c.options.PerSecond))
	return nil
}

// request is a call with its parameters: of a GET in the query, else in a form.
func (c *Client) request(ctx context.Context, method, path string, q url.Values) (*http.Request, error) {
	target, form := c.options.URL+path, ""
	if method != http.MethodGet {
		form = q.Encode()
	} else if len(q) > 0 {
		target += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form))
	if err == nil && form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// once makes one call.
func (c *Client) once(ctx context.Context, method, path string, q url.Values, into any) (pause time.Duration, err error) {
	req, err := c.request(ctx, method, path, q)
	if err != nil {
		return 0, unreachable(path, err)
	}
	req.SetBasicAuth("", c.options.Token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.options.UserAgent)
	c.calls.Add(1)
	sent := time.Now()
	answer, err := c.http.Do(req)
	if err != nil {
		return 0, unreachable(path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostBody+1))
	if err != nil {
		return 0, unreachable(path, err)
	}
	if at, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		c.skew.Store(int64(skew(at, sent, time.Now())))
	}
	switch {
	case answer.StatusCode != http.StatusOK && (method == http.MethodGet || answer.StatusCode != http.StatusCreated):
		e := refusal(path, answer, body)
		e.RetryAfter = retryAfter(answer, time.Now())
		return e.RetryAfter, e
	case len(body) > mostBody:
		return 0, &Error{Fault: FaultUnexpected, Status: answer.StatusCode, Path: path, Text: fmt.Sprintf("more than %d bytes", mostBody)}
	}
	if method == http.MethodDelete && len(body) == 0 {
		return 0, nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		e := &Error{Fault: FaultUnexpected, Status: answer.StatusCode, Path: path, Text: said(answer, body)}
		if !isJSON(answer) {
			e.Fault = FaultHost
		}
		return 0, e
	}
	return 0, nil
}

// skew compares a Date header, which has whole seconds, with the time around the call.
func skew(date, sent, came time.Time) time.Duration {
	switch {
	case date.Add(time.Second).Before(sent):
		return date.Add(time.Second).Sub(sent)
	case date.After(came):
		return date.Sub(came)
	}
	return 0
}

// bare is what went wrong, without the address: a URL has no place in a log.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
