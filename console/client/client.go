// Package client calls the admin API of a daemon. It also writes and reads the file in the data directory by which a command
// finds the daemon that uses the directory, so that writer and reader use the same format.
//
// It shares the types of the API with console, so that the client has every field of the server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Timeout limits a call, unless SetTimeout changes it: a page of a thousand dead letters is requeued with one fsync.
const Timeout = time.Minute

const (
	maxAnswer = 64 << 20 // maximum bytes of an answer of the API
	maxHealth = 64 << 10 // maximum bytes of an answer of a health check
)

// Client calls one listener of a daemon: the admin listener, or the traffic listener for SendEvents. Its methods may be called
// concurrently; SetTimeout must be called before them.
type Client struct {
	base  string // without a slash at the end
	shown string // its name in messages
	token string // of an operator or a producer; empty: none is sent
	hint  string // what to do when there is no answer
	http  *http.Client
}

// Refusal is an error answered by the daemon, with the daemon's text.
type Refusal struct {
	Status     int // HTTP status
	Detail     string
	RetryAfter time.Duration // when to retry; 0: unknown
	Faults     []Fault       // of events: the faults of the first hundred invalid events
}

// Fault is a fault of one event.
type Fault struct {
	Index  int    `json:"index"` // in the request, from 0
	Field  string `json:"field"` // empty: the whole event
	Detail string `json:"detail"`
}

const (
	adminHint   = "is it running? --admin-url names another admin listener"
	trafficHint = "is it running? --url names another traffic listener"
)

func (r *Refusal) Error() string { return r.Detail }

// New makes a client of an admin listener: a URL, or an address in the form of a listener (host:port, or unix:/path). An empty
// token is not sent. The error is about the address.
func New(address, token string) (*Client, error) {
	c := &Client{token: token, hint: adminHint, http: &http.Client{Timeout: Timeout}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		var dialer net.Dialer
		c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}}
		c.base, c.shown = "http://unix", address
		return c, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + Reachable(address)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q: expected http://host:port or unix:/path", address)
	}
	c.base = strings.TrimSuffix(u.String(), "/")
	c.shown = c.base
	return c, nil
}

// SetTimeout limits each call from now on, from the connection to the end of the answer.
func (c *Client) SetTimeout(d time.Duration) { c.http.Timeout = d }

// Reachable returns the address by which a process on the same machine connects to a bound address: a wildcard becomes localhost.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// Call sends body as JSON, and decodes the answer into into, a pointer. If the status is not 200 and the daemon gives a reason,
// the error is a *Refusal.
func (c *Client) Call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.send(ctx, method, path, "application/json", text, http.StatusOK, into)
}

// send sends a body, and decodes the answer into into, a pointer, if it has the expected status.
func (c *Client) send(ctx context.Context, method, path, media string, body []byte, expected int, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", media)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return &Unreachable{c.shown, c.hint, err}
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the answer of %s: %w", c.shown, err)
	}
	if answer.StatusCode == expected {
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("the answer of %s: %w", c.shown, err)
		}
		return nil
	}
	var problem struct {
		Detail string
		Errors []Fault
	}
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return c.unexpected(answer.Status)
	}
	seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	return &Refusal{answer.StatusCode, problem.Detail, time.Duration(seconds) * time.Second, problem.Errors}
}

// Unreachable is the error if a daemon does not answer.
type Unreachable struct {
	URL  string // of the listener, or unix:/path
	Hint string // what to do about it
	Err  error
}

// Error returns the cause, and the hint on a second line.
func (u *Unreachable) Error() string {
	cause := u.Err
	var of *url.Error
	if errors.As(cause, &of) {
		cause = of.Err // without the URL, which is shown before it
	}
	var dialled *net.OpError
	if errors.As(cause, &dialled) && dialled.Op == "dial" {
		cause = dialled.Err // without the address, which is in the URL
	}
	return fmt.Sprintf("cannot reach the daemon at %s: %v\n%s", u.URL, cause, u.Hint)
}

// Unwrap returns the cause.
func (u *Unreachable) Unwrap() error { return u.Err }

// Health calls /readyz, or /livez, without a token. It returns the daemon's text if it is ready, and otherwise an error with the
// reason.
func (c *Client) Health(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return "", &Unreachable{c.shown, c.hint, err}
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxHealth))
	said := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("the answer of %s: %w", c.shown, err)
	case answer.StatusCode == http.StatusOK:
		return said, nil
	case answer.StatusCode == http.StatusServiceUnavailable:
		return "", errors.New(said)
	}
	return "", c.unexpected(answer.Status)
}

func (c *Client) unexpected(status string) error {
	which := "admin"
	if c.hint == trafficHint {
		which = "traffic"
	}
	return fmt.Errorf("the daemon answered %s: is %s its %s listener?", status, c.shown, which)
}
