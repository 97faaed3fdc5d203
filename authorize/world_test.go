package authorize

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// world is an Authorizer in front of a sandbox, without a network between, and a report path that
// delivers when it is told to.
type world struct {
	*Authorizer
	*quota.Tracker
	t       *testing.T
	sandbox *sandbox.Sandbox
	backend *backend
	journal *journal
	client  *threescale.Client
	options worldOptions
}

// worldOptions are the options of both, and the backlog of an earlier life.
type worldOptions struct {
	Options
	pending func() quota.Backlog
}

// new makes an Authorizer and its Tracker.
func (o worldOptions) new() (*Authorizer, *quota.Tracker) {
	o.Quota = quota.New(quota.Options{Applications: o.Applications(), Journal: o.Journal, Pending: o.pending})
	return New(o.Options), o.Quota
}

// save returns the file that a restart or a crash leaves.
func (w *world) save() string {
	text, err := json.Marshal(w.Authorizer.Save(w.Tracker.Save()))
	require.NoError(w.t, err)
	return string(text)
}

// restore takes a file up, as a start does before usage is followed.
func (w *world) restore(text string) error {
	var s Saved
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	return w.Authorizer.Restore(&s)
}

// backend is the sandbox as a transport, that can be away and counts its calls.
type backend struct {
	handler http.Handler

	mu    sync.Mutex // guards what follows
	away  bool
	delay time.Duration
	asked int // authorize calls
}

func (b *backend) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	away, delay := b.away, b.delay
	if r.Method == http.MethodGet {
		b.asked++
	}
	b.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if away {
		return nil, io.ErrUnexpectedEOF
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return res, nil
}

func (b *backend) set(away bool, delay time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away, b.delay = away, delay
}

func (b *backend) calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// journal keeps events in memory.
type journal struct {
	mu     sync.Mutex // guards what follows
	events []event.Event
	fail   error
	slow   time.Duration // how long the disk takes
}

func (j *journal) Append(_ context.Context, events []event.Event) (int, error) {
	j.mu.Lock()
	slow := j.slow
	j.mu.Unlock()
	if slow > 0 {
		pass(slow)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return 0, j.fail
	}
	known := map[string]bool{}
	for _, e := range j.events {
		known[e.ID] = true
	}
	for i, e := range events {
		if e.ID != "" && known[e.ID] {
			events[i].Duplicate = true
			continue
		}
		e.Usage = append(threescale.Usage{}, e.Usage...)
		j.events = append(j.events, e)
	}
	return 0, nil
}

func (j *journal) take() []event.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	events := j.events
	j.events = nil
	return events
}

var configured = []Service{
	{ID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"}},
	{ID: "1002", Credentials: threescale.Credentials{ServiceToken: "stoken1002"}},
	{ID: "1003", Credentials: threescale.Credentials{ServiceToken: "stoken1003"}},
	{ID: "1004", Credentials: threescale.Credentials{ServiceToken: "stoken1004"}},
	{ID: "1005", Credentials: threescale.Credentials{ServiceToken: "stoken1005"}},
}

func newWorld(t *testing.T, change func(*worldOptions)) *world {
	s := sandbox.New(sandbox.Options{})
	w := &world{t: t, sandbox: s, backend: &backend{handler: s}, journal: &journal{}}
	var err error
	w.client, err = threescale.NewClient(threescale.ClientOptions{URL: "http://backend", Transport: w.backend, MaxConns: 64})
	require.NoError(t, err)
	w.options = worldOptions{Options: Options{
		TTL: DefaultTTL, DenyTTL: DefaultDenyTTL, MaxStale: DefaultMaxStale,
		Services: configured, Passthrough: true, Client: w.client, Journal: w.journal,
	}}
	if change != nil {
		change(&w.options)
	}
	w.Authorizer, w.Tracker = w.options.new()
	return w
}

// got is an answer as a client sees it.
type got struct {
	status int
	header http.Header
	body   string
}

func (g got) verdict(t *testing.T) *threescale.Status {
	st, err := threescale.ParseStatus([]byte(g.body))
	require.NoError(t, err, g.body)
	return st
}

// current is the current value of a limit in the answer; -1 without one.
func (g got) current(t *testing.T, metric string, p threescale.Period) int64 {
	for _, u := range g.verdict(t).UsageReports {
		if u.Metric == metric && u.Period == p {
			return u.CurrentValue
		}
	}
	return -1
}

// send answers a request as the traffic listener does: by Express, where that takes it.
func (w *world) send(r *http.Request) got {
	w.t.Helper()
	if r.Method == http.MethodGet {
		if answer, ok := w.FastPath(nil, r.URL.Path, r.URL.RawQuery, r.Header.Get(threescale.OptionsHeader)); ok {
			return parse(w.t, answer)
		}
	}
	return serve(w.Handler(r.Method, path.Clean(r.URL.Path)), r)
}

// parse reads an answer as it stands on the wire.
func parse(t *testing.T, answer []byte) got {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(answer))
	res, err := http.ReadResponse(reader, nil)
	require.NoError(t, err, "%q", answer)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Zero(t, reader.Buffered(), "nothing behind the body")
	res.Header.Del("Date")
	return got{res.StatusCode, res.Header, string(body)}
}

func serve(h http.Handler, r *http.Request) got {
	out := httptest.NewRecorder()
	if h == nil {
		return got{status: http.StatusNotFound}
	}
	h.ServeHTTP(out, r)
	return got{out.Code, out.Header(), out.Body.String()}
}

// get makes one of the GET calls for service 1001, with parameters in pairs.
func (w *world) get(call string, pairs ...string) got {
	q := url.Values{"service_token": {"stoken1001"}, "service_id": {"1001"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodGet, "/transactions/"+call+".xml?"+q.Encode(), nil)
	r.Header.Set(threescale.OptionsHeader, "rejection_reason_header=1&limit_headers=1")
	return w.send(r)
}

// deliver reports what is in the journal, as batcher and sender would.
func (w *world) deliver() {
	for _, e := range w.journal.take() {
		e := e
		lane := quota.Lane{ServiceID: e.ServiceID, Credentials: e.Credentials, FlatUsage: e.FlatUsage}
		one := func(yield func(int, *threescale.Transaction) bool) { yield(0, &e.Transaction) }
		w.Sending("b", lane, one)
		c := e.Credentials
		if c.IsZero() {
			c = threescale.Credentials{ServiceToken: "stoken" + e.ServiceID}
		}
		answer, err := w.client.Report(w.t.Context(), &threescale.Report{
			ServiceID: e.ServiceID, Credentials: c, FlatUsage: e.FlatUsage, Transactions: []threescale.Transaction{e.Transaction},
		})
		require.NoError(w.t, err)
		require.Equal(w.t, http.StatusAccepted, answer.Status)
		w.Settled("b", lane, func(yield func(*threescale.Transaction, quota.Outcome) bool) { yield(&e.Transaction, quota.Delivered) })
	}
}

// accept takes usage in by another way than authrep.
func (w *world) accept(app string, metric string, n uint64) {
	_, err := w.Append(w.t.Context(), []event.Event{{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: metric, Value: n}}, Timestamp: time.Now().Unix(),
	}}})
	require.NoError(w.t, err)
}

// counted is what the backend has counted of a metric, ancestors included.
func (w *world) counted(app, metric string) uint64 {
	require.NoError(w.t, w.sandbox.Settle(w.t.Context()))
	return w.sandbox.Usage()["1001"][app][metric]
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

// discard is a response that is not read.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header {
	if d.header == nil {
		d.header = make(http.Header, 12)
	}
	return d.header
}
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
