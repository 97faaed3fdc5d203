package ingest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest/traffic"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// memJournal is a Journal that keeps copies, and fails on demand.
type memJournal struct {
	mu     sync.Mutex // guards what follows
	events []event.Event
	seen   map[string]bool
	err    error // what Append answers
	landed bool  // whether it keeps the events all the same
}

func (m *memJournal) Append(_ context.Context, events []event.Event) (duplicates int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil && !m.landed {
		return 0, m.err
	}
	for i := range events {
		if id := events[i].ID; id != "" && m.seen[id] {
			duplicates++
			continue
		} else if id != "" {
			m.seen[strings.Clone(id)] = true
		}
		m.events = append(m.events, clone(events[i]))
	}
	return duplicates, m.err
}

// clone copies an event with its strings, as a journal must.
func clone(e event.Event) event.Event {
	e.ServiceID, e.ID = strings.Clone(e.ServiceID), strings.Clone(e.ID)
	e.Application = threescale.Application{ID: strings.Clone(e.Application.ID), UserKey: strings.Clone(e.Application.UserKey)}
	usage := threescale.Usage{}
	for _, increment := range e.Usage {
		usage = append(usage, threescale.Increment{Metric: strings.Clone(increment.Metric), Value: increment.Value})
	}
	e.Usage = usage
	return e
}

// take returns what was kept since the last call.
func (m *memJournal) take() []event.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.events
	m.events = nil
	return events
}

// listener is a Handler behind a real server, as serve has it.
type listener struct {
	*memJournal
	*Handler
	address string
}

func listen(t *testing.T, o Options) *listener {
	t.Helper()
	l := &listener{memJournal: &memJournal{seen: make(map[string]bool)}}
	o.Journal = l.memJournal
	if o.Services == nil {
		o.Services = []Service{
			{ID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"}},
			{ID: "1002", Credentials: threescale.Credentials{ProviderKey: "pkey"}, Metrics: []string{"hits"}},
		}
	}
	l.Handler = NewHandler(o)
	server := httptest.NewUnstartedServer(l.Handler)
	server.Config = traffic.NewServer(l.Handler, zap.NewNop())
	server.Listener = traffic.NewListener(server.Listener, traffic.Options{Handler: l.Handler})
	server.Start()
	t.Cleanup(server.Close)
	l.address = server.Listener.Addr().String()
	return l
}

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	body string
}

// send writes a request as it stands, its lines ended by CR LF, and reads the answer.
func (l *listener) send(t *testing.T, head, body string) answer {
	t.Helper()
	if body != "" {
		head += fmt.Sprintf("\nContent-Length: %d", len(body))
	}
	return l.exchange(t, strings.ReplaceAll(head, "\n", "\r\n")+"\r\nHost: backend.example\r\n\r\n"+body)
}

// exchange writes a request byte by byte as given and reads the answer.
func (l *listener) exchange(t *testing.T, request string) answer {
	t.Helper()
	c, err := net.Dial("tcp", l.address)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.WriteString(c, request) }() // ends with the connection
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response, string(text)}
}

const form = "\nContent-Type: application/x-www-form-urlencoded"

// report posts a form.
func (l *listener) report(t *testing.T, body string) answer {
	t.Helper()
	return l.send(t, "POST /transactions.xml HTTP/1.1"+form, body)
}

// post posts events.
func (l *listener) post(t *testing.T, contentType, body string) answer {
	t.Helper()
	return l.send(t, "POST /v1/events HTTP/1.1\nContent-Type: "+contentType, body)
}
