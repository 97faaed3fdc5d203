package threescale

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds on what the client reads of an answer.
const (
	maxAnswerBody   = 64 << 10
	maxAnswerHeader = 64 << 10
	maxStatusBody   = 4 << 20 // a <status> with many limits and keys
)

// ClientOptions says where the backend is and how to reach it.
type ClientOptions struct {
	URL       string         // scheme, host and perhaps a path; no credentials, query or fragment
	Timeout   time.Duration  // for one whole attempt, connecting and reading included; 0: 10 s
	RootCAs   *x509.CertPool // nil: the system's
	Trust     *Trust         // in place of RootCAs, where they may change; nil: they do not
	MaxConns  int            // connections at a time; 0: 8
	UserAgent string         // "": reporterd
	Clock     *Clock         // learns from every answer; nil: the client has one of its own

	// Transport replaces the HTTP transport, for tests. What was written is then known only as far as
	// the body was read.
	Transport http.RoundTripper
}

// Client makes calls to the backend: one attempt each, never a retry, never a redirect followed. An
// HTTP proxy of the environment is honoured. Any number of goroutines may use one.
type Client struct {
	base      *url.URL
	timeout   time.Duration
	userAgent string
	options   ClientOptions
	current   atomic.Pointer[dialer]
	clock     *Clock
}

// Clock returns what answers have shown of the backend's clock.
func (c *Client) Clock() *Clock { return c.clock }

// NewClient checks the options; it does not connect.
func NewClient(o ClientOptions) (*Client, error) {
	base, err := parseBase(o.URL)
	if err != nil {
		return nil, fmt.Errorf("threescale: backend url: %w", err)
	}
	c := &Client{base: base, timeout: o.Timeout, userAgent: o.UserAgent, options: o, clock: o.Clock}
	if c.clock == nil {
		c.clock = &Clock{}
	}
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	if c.userAgent == "" {
		c.userAgent = "reporterd"
	}
	roots := o.roots()
	transport := o.Transport
	if transport == nil {
		transport = newTransport(o, roots)
	}
	c.current.Store(&dialer{roots, transport})
	return c, nil
}

// parseBase accepts what can be a base of every call. Its errors never repeat the address, which might
// hold a password.
func parseBase(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("scheme must be http or https")
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.User != nil:
		return nil, errors.New("must not hold credentials")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("must not have a query or a fragment")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// newTransport speaks HTTP/1.1 only: the backend does, and every rule about what may have been written
// is about one request at a time on a connection.
func newTransport(o ClientOptions, roots *x509.CertPool) *http.Transport {
	conns := o.MaxConns
	if conns <= 0 {
		conns = 8
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialMetered,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression:     true,
		MaxIdleConns:           conns,
		MaxIdleConnsPerHost:    conns,
		MaxConnsPerHost:        conns,
		IdleConnTimeout:        IdleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

// CloseIdle closes the connections that no call is using.
func (c *Client) CloseIdle() {
	if t, ok := c.via().(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// URL is the address of the backend, without a password that may be in it.
func (c *Client) URL() string { return c.base.Redacted() }

// TransportError says that there is no answer, and whether the backend may have counted all the same.
type TransportError struct {
	// Written: the request, or part of it, may have reached the backend. False is certain: nothing did
	// that it could have counted.
	Written bool
	Err     error // why; holds no credentials
}

// Error says why there is no answer.
func (e *TransportError) Error() string {
	if e.Written {
		return "threescale: no answer: " + e.Err.Error()
	}
	return "threescale: not sent: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Report makes one attempt at POST /transactions.xml. An answer of any status comes back as an Answer
// and a nil error; every error is a *TransportError. Once a request may have been written, a cancelled
// context leaves the outcome unknown: do not cancel for convenience.
func (c *Client) Report(ctx context.Context, r *Report) (*Answer, error) {
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if r.FlatUsage {
		header.Set(OptionsHeader, Options{FlatUsage: true}.String())
	}
	form := r.AppendForm(make([]byte, 0, r.formSize()))
	sent := time.Now()
	answer, _, err := c.attempt(ctx, http.MethodPost, "/transactions.xml", header, form)
	if err != nil {
		return nil, err
	}
	answer.judge(r.Credentials)
	c.clock.reported(r, answer, sent, time.Now())
	return answer, nil
}

func (r *Report) formSize() int {
	_, size := HeadCost(r.ServiceID, r.Credentials)
	for i := range r.Transactions {
		_, n := r.Transactions[i].FormCost(i)
		size += n
	}
	return size
}

// attempt sends one request and reads its answer, all within the client's timeout. target is path and
// query; without a body (a GET) the answer may be a whole <status>.
func (c *Client) attempt(ctx context.Context, method, target string, header http.Header, body []byte) (*Answer, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	sent := &sending{body: body}
	req, err := c.request(httptrace.WithClientTrace(ctx, sent.trace()), method, target, header, sent)
	if err != nil {
		return nil, nil, &TransportError{Err: err}
	}
	res, err := c.via().RoundTrip(req)
	if err != nil {
		return nil, nil, &TransportError{Written: sent.written(), Err: err}
	}
	defer res.Body.Close()
	limit := int64(maxAnswerBody)
	if method == http.MethodGet {
		limit = maxStatusBody
	}
	return readAnswer(res, limit, time.Now()), res.Header, nil
}

// request builds a request that net/http will not send a second time on its own: it has a body, which
// cannot be rewound, also where that body is empty (an authrep is a GET, and counts).
func (c *Client) request(ctx context.Context, method, target string, header http.Header, sent *sending) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+target, sent)
	if err != nil {
		return nil, errors.New("cannot build the request") // the cause would repeat the address
	}
	req.ContentLength = int64(len(sent.body))
	if len(sent.body) == 0 {
		req.ContentLength = -1 // unknown: net/http looks, finds nothing, and announces no body
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}
