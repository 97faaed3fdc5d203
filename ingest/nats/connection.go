package nats

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// connState is the state of the connection. Its fields may be read and written concurrently.
type connState struct {
	up      atomic.Bool
	since   atomic.Int64 // when up changed last, Unix nanoseconds
	losses  atomic.Uint64
	closing atomic.Bool
}

// set notes that the connection is up or lost, and returns how long it was in the state before.
func (c *connState) set(up bool) (before time.Duration) {
	now := time.Now()
	before = now.Sub(time.Unix(0, c.since.Swap(now.UnixNano())))
	c.up.Store(up)
	return before
}

// Dial connects with the login of o, for a purpose other than a Bridge. It returns once there is a connection, or with an
// error when ctx ends. A connection that is lost later is retried without end.
func Dial(ctx context.Context, o Options) (*nats.Conn, error) {
	all, err := o.connectOptions()
	if err != nil {
		return nil, err
	}
	connected := make(chan struct{}, 1)
	all = append(all, nats.ConnectHandler(func(*nats.Conn) { connected <- struct{}{} }))
	conn, err := nats.Connect(o.URL, all...)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	select {
	case <-connected:
		return conn, nil
	case <-ctx.Done():
		conn.Close()
		return nil, fmt.Errorf("nats: %w", ctx.Err())
	}
}

// connect dials. nats.go calls the handlers from goroutines of its own, which end with the connection.
func (b *Bridge) connect() error {
	all, err := b.options.connectOptions()
	if err != nil {
		return err
	}
	b.state.since.Store(time.Now().UnixNano())
	all = append(all,
		nats.ConnectHandler(b.connected), nats.ReconnectHandler(b.connected), nats.DisconnectErrHandler(b.disconnected),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.logLimited("nats", err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.logLimited("cannot reach the NATS server: it is tried again", err) }),
	)
	if b.conn, err = nats.Connect(b.options.URL, all...); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	if !b.conn.IsConnected() {
		b.log.Warn("the NATS server cannot be reached yet: it is tried again, and all else goes on")
	}
	return nil
}

// connected is called after each (re)connect, when the subscriptions were sent again. The bridge is up once the server has
// them: a request before that finds no responder.
func (b *Bridge) connected(c *nats.Conn) {
	if c.FlushTimeout(b.options.ReplyTimeout) != nil && !c.IsConnected() {
		return // the connection was lost again; disconnected has noted that
	}
	before := b.state.set(true)
	select {
	case b.reconnected <- struct{}{}:
	default: // the check is due already
	}
	b.log.Info("connected to NATS", zap.String("server", c.ConnectedUrlRedacted()), zap.Duration("after", before.Round(time.Millisecond)))
}

func (b *Bridge) disconnected(_ *nats.Conn, err error) {
	if b.state.closing.Load() {
		return
	}
	b.state.set(false)
	b.state.losses.Add(1)
	b.log.Error("lost the NATS server: it is tried again, and all else goes on", zap.Error(err))
}

var errDisconnected = errors.New("nats: the server cannot be reached")

// Health returns why no messages arrive at the moment, or nil.
func (b *Bridge) Health() error {
	if !b.state.up.Load() {
		return errDisconnected
	}
	if err := b.streamOutage.Err(); err != nil || b.options.Stream == "" || b.attached.Load() {
		return err
	}
	return errAttaching
}
