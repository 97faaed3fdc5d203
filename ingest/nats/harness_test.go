package nats_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/stretchr/testify/require"
)

// memory is a Journal that knows ids and the places of messages in streams, and fails on demand.
type memory struct {
	mu      sync.Mutex // guards what follows
	events  int
	repeats int
	seen    map[string]bool
	taken   map[event.Source]bool
	stamps  []int64
	err     error
	landed  bool          // whether what failed was kept all the same
	gate    chan struct{} // when not nil, Append waits until it is closed
}

func newMemory() *memory { return &memory{seen: map[string]bool{}, taken: map[event.Source]bool{}} }

func (m *memory) Append(_ context.Context, events []event.Event) (duplicates int, err error) {
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil && !m.landed {
		return 0, m.err
	}
	known := map[event.Source]bool{}
	for i := range events {
		id, place := strings.Clone(events[i].ID), event.Source{}
		if s := events[i].Source; s != nil {
			place = event.Source{Stream: s.Stream, Sequence: s.Sequence, Next: s.Next}
			if _, looked := known[place]; !looked {
				known[place] = m.taken[place]
				m.taken[place] = true
			}
		}
		if id != "" && m.seen[id] || known[place] {
			duplicates++
			m.repeats++
			continue
		}
		if id != "" {
			m.seen[id] = true
		}
		m.events++
		m.stamps = append(m.stamps, events[i].Timestamp)
	}
	return duplicates, m.err
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events
}

func (m *memory) repeated() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.repeats
}

func (m *memory) fail(err error, landed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.landed = err, landed
}

// rig is a server, a bridge on it and a publisher.
type rig struct {
	*memory
	*ingestnats.Bridge
	t         *testing.T
	dir       string
	server    *embedded.Server
	client    *nats.Conn
	questions []ingestnats.Question // of the bridge that open opens
	ingest    ingest.Options        // of its handler, beside services and journal
	mu        sync.Mutex            // guards letters and noRoom
	letters   []ingestnats.DeadLetter
	noRoom    error
}

// serverAt starts a server.
func serverAt(t *testing.T, dir, address string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Address: address, StoreDir: dir, Lazy: true})
	require.NoError(t, err)
	t.Cleanup(func() { stopServer(t, s) })
	return s
}

func stopServer(t *testing.T, s *embedded.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func newRig(t *testing.T, stream string) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), memory: newMemory()}
	r.server = serverAt(t, r.dir, "127.0.0.1:0")
	var err error
	r.client, err = nats.Connect("nats://"+r.server.Address(), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(r.client.Close)
	r.open(stream)
	return r
}

// open opens the bridge, which the test's end stops.
func (r *rig) open(stream string) {
	r.t.Helper()
	r.ingest.Services, r.ingest.Journal = []ingest.Service{{ID: "1001"}, {ID: "a.b"}}, r.memory
	handler := ingest.NewHandler(r.ingest)
	b, err := ingestnats.Open(ingestnats.Options{
		URL: "nats://" + r.server.Address(), Subject: "usage.>", Stream: stream, Durable: "reporterd", Handler: handler, DeadLetters: r.keep,
		Questions: r.questions,
	})
	require.NoError(r.t, err)
	r.Bridge = b
	r.t.Cleanup(func() { r.stop(b) })
	r.eventually("connected", func() bool { return b.Health() == nil })
}

func (r *rig) stop(b *ingestnats.Bridge) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = b.Stop(ctx) // a test may have stopped it, or its server, before
}

func (r *rig) keep(l ingestnats.DeadLetter) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noRoom == nil {
		r.letters = append(r.letters, l)
	}
	return r.noRoom
}

func (r *rig) kept() []ingestnats.DeadLetter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ingestnats.DeadLetter(nil), r.letters...)
}

func (r *rig) eventually(what string, condition func() bool) {
	r.t.Helper()
	require.Eventually(r.t, condition, 15*time.Second, 5*time.Millisecond, what)
}

// publish sends a plain message.
func (r *rig) publish(subject, id, body string) {
	r.t.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
	if id != "" {
		m.Header.Set(nats.MsgIdHdr, id)
	}
	require.NoError(r.t, r.client.PublishMsg(m))
	require.NoError(r.t, r.client.Flush())
}

// ask sends a request and returns the answer.
func (r *rig) ask(subject, id, body string) *nats.Msg {
	r.t.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{}}
	if id != "" {
		m.Header.Set(nats.MsgIdHdr, id)
	}
	answer, err := r.client.RequestMsg(m, 5*time.Second)
	require.NoError(r.t, err)
	return answer
}

// onStream opens another bridge, and does not wait for it.
func (r *rig) onStream(stream string) *ingestnats.Bridge {
	r.t.Helper()
	b, err := ingestnats.Open(ingestnats.Options{
		URL: "nats://" + r.server.Address(), Subject: "usage.>", Stream: stream, Durable: "reporterd", Handler: discard(),
	})
	require.NoError(r.t, err)
	return b
}
