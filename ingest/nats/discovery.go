package nats

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// discovery is what `nats micro` shows of this daemon: it answers the micro protocol's PING, INFO and STATS for its endpoints.
//
// The micro framework of nats.go counts an error only if a handler answers with it before it returns. Requests here are answered
// later, once they are durable or refused, so that the framework showed no errors at all.
type discovery struct {
	conn        *nats.Conn
	identity    micro.ServiceIdentity
	description string
	started     time.Time
	data        func() any // what STATS says of each endpoint beside the counts

	mu            sync.Mutex // guards what follows
	endpoints     []*endpoint
	subscriptions []*nats.Subscription
}

// endpoint is one subject that requests come by. Its methods do nothing on nil.
type endpoint struct {
	name, subject string

	mu       sync.Mutex // guards what follows
	requests int
	errors   int
	last     string // error; empty: none yet
	spent    time.Duration
}

// newDiscovery makes a service without endpoints, and subscribes to what asks for it.
func newDiscovery(conn *nats.Conn, version, description string, data func() any) (*discovery, error) {
	d := &discovery{
		conn: conn, identity: micro.ServiceIdentity{Name: group, ID: rand.Text(), Version: version, Metadata: map[string]string{}},
		description: description, started: time.Now().UTC(), data: data,
	}
	for verb, answer := range map[micro.Verb]func() any{micro.PingVerb: d.ping, micro.InfoVerb: d.info, micro.StatsVerb: d.stats} {
		for _, names := range [][2]string{{"", ""}, {d.identity.Name, ""}, {d.identity.Name, d.identity.ID}} {
			subject, err := micro.ControlSubject(verb, names[0], names[1])
			if err != nil {
				return nil, err
			}
			if err := d.subscribe(subject, answer); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// subscribe answers every request of a subject with JSON.
func (d *discovery) subscribe(subject string, answer func() any) error {
	s, err := d.conn.Subscribe(subject, func(m *nats.Msg) {
		if text, err := json.Marshal(answer()); err == nil {
			_ = m.Respond(text) // who asked asks again
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscriptions = append(d.subscriptions, s)
	return nil
}

// addEndpoint subscribes to the messages of an endpoint, as one of all daemons; at most maxWaiting bytes of them wait for handle.
func (d *discovery) addEndpoint(name, subject string, handle func(*endpoint, *nats.Msg)) error {
	e := &endpoint{name: name, subject: subject}
	s, err := d.conn.QueueSubscribe(subject, group, func(m *nats.Msg) {
		e.received()
		handle(e, m)
	})
	if err == nil {
		err = s.SetPendingLimits(-1, maxWaiting)
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endpoints, d.subscriptions = append(d.endpoints, e), append(d.subscriptions, s)
	return nil
}

// stop drains every subscription. It returns at once; nats.go removes them when what they have received is handled.
func (d *discovery) stop() (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.subscriptions {
		if failed := s.Drain(); failed != nil {
			err = failed
		}
	}
	return err
}

func (d *discovery) ping() any {
	return micro.Ping{ServiceIdentity: d.identity, Type: micro.PingResponseType}
}

func (d *discovery) info() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := micro.Info{ServiceIdentity: d.identity, Type: micro.InfoResponseType, Description: d.description}
	for _, e := range d.endpoints {
		i.Endpoints = append(i.Endpoints, micro.EndpointInfo{Name: e.name, Subject: e.subject, QueueGroup: group, Metadata: map[string]string{}})
	}
	return i
}

func (d *discovery) stats() any {
	data, _ := json.Marshal(d.data()) // figures can be
	d.mu.Lock()
	defer d.mu.Unlock()
	s := micro.Stats{ServiceIdentity: d.identity, Type: micro.StatsResponseType, Started: d.started}
	for _, e := range d.endpoints {
		s.Endpoints = append(s.Endpoints, e.stats(data))
	}
	return s
}

func (e *endpoint) stats(data json.RawMessage) *micro.EndpointStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := &micro.EndpointStats{
		Name: e.name, Subject: e.subject, QueueGroup: group, NumRequests: e.requests, NumErrors: e.errors, LastError: e.last, ProcessingTime: e.spent, Data: data,
	}
	if e.requests > 0 {
		s.AverageProcessingTime = e.spent / time.Duration(e.requests)
	}
	return s
}

func (e *endpoint) received() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
}

// answered counts a message that arrived at a moment and is answered now.
func (e *endpoint) answered(arrived time.Time) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.spent += time.Since(arrived)
}

// failed counts a message that is answered with an error.
func (e *endpoint) failed(status int, detail string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.errors++
	e.last = strconv.Itoa(status) + ": " + detail
}
