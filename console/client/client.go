// Package client asks the admin API of a daemon. It also writes and reads the file in the data directory by which a command
// finds the daemon that uses the directory, so that the writer and the reader agree on its format.
//
// It shares the types of the API with console, so that a field which the server adds is the client's, too.
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

// Timeout bounds a call unless SetTimeout says otherwise: a page of a thousand dead letters is requeued with one fsync.
const Timeout = time.Minute

const (
	maxAnswer = 64 << 20 // bytes of an answer of the API that are read
	maxHealth = 64 << 10 // bytes of an answer of a health check that are read
)

// Client asks one listener of a daemon: the admin listener, or the traffic listener for SendEvents. Its methods may be called
// concurrently; SetTimeout comes before them.
type Client struct {
	base  string // without a slash at the end
	shown string // what messages call it
	token string // of an operator or a producer; empty: none is sent
	hint  string // what to do when there is no answer
	http  *http.Client
}

// Refusal is an error that the daemon answered, in its words.
type Refusal struct {
	Status     int // of HTTP
	Detail     string
	RetryAfter time.Duration // when the same may be asked again; 0: it does not say
	Faults     []Fault       // of events: what is wrong with which, the first hundred
}

// Fault is what is wrong with one event.
type Fault struct {
	Index  int    `json:"index"` // in the request, from 0
	Field  string `json:"field"` // empty: it is about the whole event
	Detail string `json:"detail"`
}

const (
	adminHint   = "is it running? --admin-url names another admin listener"
	trafficHint = "is it running? --url names another traffic listener"
)

func (r *Refusal) Error() string { return r.Detail }

// New makes a client of an admin listener: a URL, or an address as a listener has it (host:port, or unix:/path). An empty token
// is not sent. The error is about the address.
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

// SetTimeout bounds each call from now on, from the connection to the end of the answer.
func (c *Client) SetTimeout(d time.Duration) { c.http.Timeout = d }

// Reachable is a bound address as a process on the same machine dials it: a wildcard address becomes localhost.
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

// Call sends body as JSON, and reads the answer into the value that into points to. An answer other than 200 is a *Refusal
// when the daemon says why.
func (c *Client) Call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.send(ctx, method, path, "application/json", text, http.StatusOK, into)
}

// send sends a body, and reads the answer into the value that into points to when it has the status that is expected.
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

// Unreachable is the error of a daemon that did not answer.
type Unreachable struct {
	URL  string // of the listener, or unix:/path
	Hint string // what to do about it
	Err  error
}

// Error is why there was no answer, and on a second line what to do about it.
func (u *Unreachable) Error() string {
	cause := u.Err
	var of *url.Error
	if errors.As(cause, &of) {
		cause = of.Err // without the URL, which comes first here
	}
	var dialled *net.OpError
	if errors.As(cause, &dialled) && dialled.Op == "dial" {
		cause = dialled.Err // without the address, which is in the URL
	}
	return fmt.Sprintf("cannot reach the daemon at %s: %v\n%s", u.URL, cause, u.Hint)
}

// Unwrap returns why there was no answer.
func (u *Unreachable) Unwrap() error { return u.Err }

// Health asks /readyz, or /livez, without a token. It returns what the daemon says when it is well, and otherwise why not.
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
